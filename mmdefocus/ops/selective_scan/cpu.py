"""The selective scan in C++ for CPUs, see ../csrc/scan.h and README.md."""

import torch
from torch import Tensor

from ..native import call
from ..scan_layout import Sequence, Sizes, empty_like, readable


def cpu_selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`. bfloat16 is read and written as it is; float16 is widened first."""
    dtype = torch.promote_types(u.dtype, torch.float32)
    wide_u, delta, B, C = (readable(x, dtype) for x in (u, delta, B, C))
    inputs = wide_u, delta, A.to(dtype).contiguous(), B, C
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    y, _ = _scan(*inputs, keep)
    return y.to(u.dtype)


@torch.library.custom_op('mmdefocus::selective_scan_cpu', mutates_args=(), device_types='cpu')
def _scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    """Returns y and, to `keep` for the backward, some states; computes in the dtype of A."""
    sizes = Sizes.of(u, A)
    y = empty_like(u)
    kept = A.new_empty(sizes.kept_shape if keep else 0)
    u, delta, B, C, out = (Sequence.of(x) for x in (u, delta, B, C, y))
    call('selective_scan_forward', A.dtype, sizes, u, delta, A, B, C, out, kept)
    return y, kept


@_scan.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    return empty_like(u), A.new_empty(Sizes.of(u, A).kept_shape if keep else 0)


@torch.library.custom_op(
    'mmdefocus::selective_scan_cpu_backward', mutates_args=(), device_types='cpu'
)
def _scan_backward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dy: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B and C."""
    sizes = Sizes.of(u, A)
    du, ddelta = empty_like(u), empty_like(delta)
    dA = A.new_empty(sizes.batch, *A.shape)
    dB, dC = (A.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    inputs = (Sequence.of(x) for x in (u, delta, B, C, dy))
    u, delta, in_B, in_C, dy = inputs
    outputs = (Sequence.of(du), Sequence.of(ddelta), dA, dB, dC)
    call('selective_scan_backward', A.dtype, sizes, u, delta, A, in_B, in_C, dy, kept, *outputs)
    return du, ddelta, dA.sum(0), dB.sum(0).mT.to(B.dtype), dC.sum(0).mT.to(C.dtype)


@_scan_backward.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dy: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dB, dC = (empty_like(x) for x in (B, C))
    return empty_like(u), empty_like(delta), torch.empty_like(A), dB, dC


def _setup_context(ctx, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)  # the kept states have no gradient, and zeros cost memory
    ctx.save_for_backward(*inputs[:-1], output[1])


def _backward(ctx, dy: Tensor | None, _dkept: None) -> tuple[Tensor | None, ...]:
    u, delta, A, B, C, kept = ctx.saved_tensors
    if dy is None:
        return (None,) * 6
    return *_scan_backward(u, delta, A, B, C, dy, kept), None


_scan.register_autograd(_backward, setup_context=_setup_context)
