"""The epilogue in C++ for CPUs, one pass over memory each way; see csrc/gated_norm.cpp."""

import torch
from torch import Tensor

from ..native import Tasks, call, contiguous_channels, strided


def cpu_gated_group_rms_norm(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float
) -> Tensor:
    """See `gated_group_rms_norm`. bfloat16 and float16 are widened to float32 first."""
    dtype = torch.promote_types(u.dtype, torch.float32)
    y, wide_u, z = (contiguous_channels(x.to(dtype)) for x in (y, u, z))
    return _gated_norm(y, wide_u, D.to(dtype).contiguous(), z, group_size, eps).to(u.dtype)


@torch.library.custom_op('mmdefocus::gated_norm_cpu', mutates_args=(), device_types='cpu')
def _gated_norm(y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float) -> Tensor:
    out = y.new_empty(y.shape)
    inputs = (Tasks.of(y), group_size, eps, *strided(y, u), D, *strided(z))
    call('gated_norm_forward', y.dtype, *inputs, *strided(out))
    return out


@_gated_norm.register_fake
def _(y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float) -> Tensor:
    return y.new_empty(y.shape)


@torch.library.custom_op('mmdefocus::gated_norm_cpu_backward', mutates_args=(), device_types='cpu')
def _gated_norm_backward(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float, dout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of y, u, D and z."""
    tasks = Tasks.of(y)
    dout = contiguous_channels(dout)
    dy, du, dz = (y.new_empty(y.shape) for _ in range(3))
    dD = y.new_empty(tasks.number, *D.shape)
    inputs = (tasks, group_size, eps, *strided(y, u), D, *strided(z, dout))
    call('gated_norm_backward', y.dtype, *inputs, *strided(dy, du, dz), dD)
    return dy, du, dD.sum(0), dz


@_gated_norm_backward.register_fake
def _(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float, dout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dy, du, dz = (y.new_empty(y.shape) for _ in range(3))
    return dy, du, torch.empty_like(D), dz


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    *tensors, ctx.group_size, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, dout: Tensor) -> tuple[Tensor | None, ...]:
    grads = _gated_norm_backward(*ctx.saved_tensors, ctx.group_size, ctx.eps, dout)
    return (*grads, None, None)


_gated_norm.register_autograd(_backward, setup_context=_setup_context)
