"""Scan and epilogue in one pass over memory each way, in C++; see csrc/gated_scan.cpp."""

import torch
from torch import Tensor

from ..native import call
from ..scan_layout import PANEL, Sequence, Sizes, empty_like, readable
from .composed import composed_gated_scan


def cpu_gated_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float,
    delta_softplus: bool,
) -> Tensor:
    """See `gated_selective_scan`. bfloat16 is read and written as it is; float16 is widened first.

    Groups that are not whole panels of channels are left to the operators one by one.
    """
    if group_size % PANEL:
        inputs = u, delta, A, B, C, D, z, group_size, eps, delta_softplus
        return composed_gated_scan(*inputs, scan='cpu', norm='cpu')
    dtype = torch.promote_types(u.dtype, torch.float32)
    wide_u, delta, B, C, z = (readable(x.mT, dtype) for x in (u, delta, B, C, z))
    A, D = (x.to(dtype).contiguous() for x in (A, D))
    inputs = wide_u, delta, A, B, C, D, z
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    out, _, _ = _gated_scan(*inputs, group_size, eps, delta_softplus, keep)
    return out.mT.to(u.dtype)


@torch.library.custom_op('mmdefocus::gated_scan_cpu', mutates_args=(), device_types='cpu')
def _gated_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the output and, to `keep` for the backward, that of the scan and some states.

    u, delta, z and both outputs are `(B, D, L)`, B and C are `(B, N, L)`.
    """
    sizes = Sizes.of(u, A, group_size, delta_softplus)
    out = empty_like(u)
    y = empty_like(u) if keep else u.new_empty(0, 0, 0)
    kept = A.new_empty(sizes.kept_shape if keep else 0)
    in_u, in_delta, in_B, in_C, in_z = (Sequence.of(x) for x in (u, delta, B, C, z))
    inputs = (sizes, in_u, in_delta, A, in_B, in_C, D, in_z, eps)
    call('gated_scan_forward', A.dtype, *inputs, Sequence.of(out), Sequence.of(y), kept)
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
    group_size: int,
    eps: float,
    delta_softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    kept = Sizes.of(u, A, group_size).kept_shape if keep else 0
    y = empty_like(u) if keep else u.new_empty(0, 0, 0)
    return empty_like(u), y, A.new_empty(kept)


@torch.library.custom_op('mmdefocus::gated_scan_cpu_backward', mutates_args=(), device_types='cpu')
def _gated_scan_backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    dout: Tensor,
    y: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B, C, D and z."""
    sizes = Sizes.of(u, A, group_size, delta_softplus)
    du, ddelta, dz = (empty_like(x) for x in (u, delta, z))
    dA = A.new_empty(sizes.batch, *A.shape)
    dB, dC = (A.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    dD = D.new_zeros(sizes.batch, *D.shape)
    in_u, in_delta, in_B, in_C, in_z = (Sequence.of(x) for x in (u, delta, B, C, z))
    inputs = (sizes, in_u, in_delta, A, in_B, in_C, D, in_z, eps)
    kept_and_gradient = (Sequence.of(dout), Sequence.of(y), kept)
    outputs = (Sequence.of(du), Sequence.of(ddelta), dA, dB, dC, dD, Sequence.of(dz))
    call('gated_scan_backward', A.dtype, *inputs, *kept_and_gradient, *outputs)
    dB, dC = dB.sum(0).mT.to(B.dtype), dC.sum(0).mT.to(C.dtype)
    return du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dz


@_gated_scan_backward.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    dout: Tensor,
    y: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    du, ddelta, dB, dC, dz = (empty_like(x) for x in (u, delta, B, C, z))
    return du, ddelta, torch.empty_like(A), dB, dC, torch.empty_like(D), dz


def _setup_context(ctx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has no gradient, and zeros cost memory
    *tensors, ctx.group_size, ctx.eps, ctx.delta_softplus, _ = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _backward(ctx, dout: Tensor | None, _dy: None, _dkept: None) -> tuple[Tensor | None, ...]:
    if dout is None:
        return (None,) * 11
    *inputs, y, kept = ctx.saved_tensors
    options = ctx.group_size, ctx.eps, ctx.delta_softplus
    return *_gated_scan_backward(*inputs, *options, dout, y, kept), *(None,) * 4


_gated_scan.register_autograd(_backward, setup_context=_setup_context)
