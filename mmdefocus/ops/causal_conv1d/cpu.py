"""The convolution in C++ for CPUs, see csrc/causal_conv1d.cpp."""

import torch
from torch import Tensor

from ..native import Tasks, call, contiguous_channels, strided


def cpu_causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `causal_conv1d`. bfloat16 and float16 are widened to float32 first."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    taps = weight.to(dtype).T.contiguous()  # (K, D)
    y = _convolve(contiguous_channels(x.to(dtype)), taps, bias.to(dtype).contiguous())
    return y.to(x.dtype)


@torch.library.custom_op('mmdefocus::causal_conv1d_cpu', mutates_args=(), device_types='cpu')
def _convolve(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    y = x.new_empty(x.shape)
    inputs = (Tasks.of(x), taps.shape[0], *strided(x), taps, bias)
    call('causal_conv1d_forward', x.dtype, *inputs, *strided(y))
    return y


@_convolve.register_fake
def _(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op(
    'mmdefocus::causal_conv1d_cpu_backward', mutates_args=(), device_types='cpu'
)
def _convolve_backward(
    x: Tensor, taps: Tensor, bias: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of x, the taps and the bias."""
    tasks = Tasks.of(x)
    dy = contiguous_channels(dy)
    dx = x.new_empty(x.shape)
    dtaps = x.new_empty(tasks.number, *taps.shape)
    dbias = x.new_empty(tasks.number, *bias.shape)
    inputs = (tasks, taps.shape[0], *strided(x), taps, bias, *strided(dy))
    call('causal_conv1d_backward', x.dtype, *inputs, *strided(dx), dtaps, dbias)
    return dx, dtaps.sum(0), dbias.sum(0)


@_convolve_backward.register_fake
def _(x: Tensor, taps: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), torch.empty_like(taps), torch.empty_like(bias)


def _setup_context(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, dy: Tensor) -> tuple[Tensor, ...]:
    return _convolve_backward(*ctx.saved_tensors, dy)


_convolve.register_autograd(_backward, setup_context=_setup_context)
