"""Scan and epilogue in one pass over memory each way, in C++; see csrc/gated_scan.cpp."""

import torch
from torch import Tensor

from ..native import call
from ..scan_layout import PANEL, Sequence, Sizes, readable
from .composed import composed_gated_scan


def cpu_gated_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
) -> Tensor:
    """See `gated_selective_scan`. bfloat16 is read and written as it is; float16 is widened first.

    Groups that are not whole panels of channels are left to the operators one by one.
    """
    options = group_size, eps, delta_softplus
    if group_size % PANEL:
        inputs = u, delta, A, B, C, D, z, delta_bias
        return composed_gated_scan(*inputs, *options, scan='cpu', norm='cpu')
    dtype = torch.promote_types(u.dtype, torch.float32)
    wide_u, delta, B, C, z = (readable(x, dtype) for x in (u, delta, B, C, z))
    A, D = (x.to(dtype).contiguous() for x in (A, D))
    if delta_bias is not None:
        delta_bias = delta_bias.to(dtype).contiguous()
    inputs = wide_u, delta, A, B, C, D, z, delta_bias
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    out, _, _ = _gated_scan(*inputs, *options, keep)
    return out.to(u.dtype)


@torch.library.custom_op('mmdefocus::gated_scan_cpu', mutates_args=(), device_types='cpu')
def _gated_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the output and, to `keep` for the backward, that of the scan and some states."""
    sizes = Sizes.of_tokens(u, A, group_size, delta_softplus)
    out = u.new_empty(u.shape)
    y = u.new_empty(u.shape if keep else (0, 0, 0))
    kept = A.new_empty(sizes.kept_shape if keep else 0)
    in_u, in_delta, in_B, in_C, in_z = map(Sequence.of_tokens, (u, delta, B, C, z))
    inputs = (sizes, in_u, in_delta, delta_bias, A, in_B, in_C, D, in_z, eps)
    call('gated_scan_forward', A.dtype, *inputs, *map(Sequence.of_tokens, (out, y)), kept)
    return out, y, kept


@_gated_scan.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    kept = Sizes.of_tokens(u, A, group_size).kept_shape if keep else 0
    return u.new_empty(u.shape), u.new_empty(u.shape if keep else (0, 0, 0)), A.new_empty(kept)


@torch.library.custom_op('mmdefocus::gated_scan_cpu_backward', mutates_args=(), device_types='cpu')
def _gated_scan_backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    dout: Tensor,
    y: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B, C, D, z and the bias, one too if there is none."""
    sizes = Sizes.of_tokens(u, A, group_size, delta_softplus)
    du, ddelta, dz = (x.new_empty(x.shape) for x in (u, delta, z))
    dA = A.new_empty(sizes.batch, *A.shape)
    dB, dC = (A.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    dD, dbias = D.new_zeros(sizes.batch, *D.shape), D.new_empty(sizes.batch, *D.shape)
    in_u, in_delta, in_B, in_C, in_z = map(Sequence.of_tokens, (u, delta, B, C, z))
    inputs = (sizes, in_u, in_delta, delta_bias, A, in_B, in_C, D, in_z, eps)
    dout, y, out_du, out_ddelta, out_dz = map(Sequence.of_tokens, (dout, y, du, ddelta, dz))
    outputs = (out_du, out_ddelta, dbias, dA, dB, dC, dD, out_dz)
    call('gated_scan_backward', A.dtype, *inputs, dout, y, kept, *outputs)
    dA, dB, dC, dD, dbias = (x.sum(0) for x in (dA, dB, dC, dD, dbias))
    return du, ddelta, dA, dB.to(B.dtype), dC.to(C.dtype), dD, dz, dbias


@_gated_scan_backward.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    dout: Tensor,
    y: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    du, ddelta, dA, dB, dC, dD, dz = (x.new_empty(x.shape) for x in (u, delta, A, B, C, D, z))
    return du, ddelta, dA, dB, dC, dD, dz, D.new_empty(D.shape)


def _setup_context(ctx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has no gradient, and zeros cost memory
    *tensors, ctx.group_size, ctx.eps, ctx.delta_softplus, _ = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _backward(ctx, dout: Tensor | None, _dy: None, _dkept: None) -> tuple[Tensor | None, ...]:
    if dout is None:
        return (None,) * 12
    *inputs, y, kept = ctx.saved_tensors
    options = ctx.group_size, ctx.eps, ctx.delta_softplus
    *gradients, dbias = _gated_scan_backward(*inputs, *options, dout, y, kept)
    return *gradients, None if inputs[-1] is None else dbias, *(None,) * 4


_gated_scan.register_autograd(_backward, setup_context=_setup_context)
