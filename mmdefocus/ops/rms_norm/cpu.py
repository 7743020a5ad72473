"""RMS normalisation in C++ for CPUs, one pass over memory each way; see csrc/rms_norm.cpp."""

import torch
from torch import Tensor

from ..native import Tasks, call, contiguous_channels, strided


def cpu_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `rms_norm`. bfloat16 and float16 are widened to float32 first."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    wide_x, weight = contiguous_channels(x.to(dtype)), weight.to(dtype).contiguous()
    return _rms_norm(wide_x, weight, eps).to(x.dtype)


@torch.library.custom_op('mmdefocus::rms_norm_cpu', mutates_args=(), device_types='cpu')
def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = x.new_empty(x.shape)
    call('rms_norm_forward', x.dtype, Tasks.of(x), eps, *strided(x), weight, *strided(y))
    return y


@_rms_norm.register_fake
def _(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op('mmdefocus::rms_norm_cpu_backward', mutates_args=(), device_types='cpu')
def _rms_norm_backward(x: Tensor, weight: Tensor, eps: float, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradients of x and weight."""
    tasks = Tasks.of(x)
    dx, dweight = x.new_empty(x.shape), x.new_empty(tasks.number, *weight.shape)
    inputs = (tasks, eps, *strided(x), weight, *strided(contiguous_channels(dy)))
    call('rms_norm_backward', x.dtype, *inputs, *strided(dx), dweight)
    return dx, dweight.sum(0)


@_rms_norm_backward.register_fake
def _(x: Tensor, weight: Tensor, eps: float, dy: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    x, weight, ctx.eps = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx, dy: Tensor) -> tuple[Tensor, Tensor, None]:
    return *_rms_norm_backward(*ctx.saved_tensors, ctx.eps, dy), None


_rms_norm.register_autograd(_backward, setup_context=_setup_context)
