"""The selective scan in C++ for CPUs, see ../csrc/scan.h and README.md."""

import torch
from torch import Tensor

from ..compiled.call import call
from ..compiled.structs import Sizes, StridedTensor, readable
from ..custom_operator import custom_operator
from ..numerics import empty_by_token, wide_dtype


def cpu_selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`. bfloat16 is read and written as it is; float16 is widened first."""
    dtype = wide_dtype(u.dtype)
    wide_u, delta, B, C = (readable(x, dtype) for x in (u, delta, B, C))
    inputs = wide_u, delta, A.to(dtype).contiguous(), B, C
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    y, _ = _scan(*inputs, keep)
    return y.to(u.dtype)


def _outputs(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    return empty_by_token(u), A.new_empty(Sizes.of(u, A).kept_shape if keep else 0)


def _forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    """Returns y and, to `keep` for the backward, some states; computes in the dtype of A."""
    y, kept = _outputs(u, delta, A, B, C, keep)
    in_u, in_delta, in_B, in_C, out = map(StridedTensor.of, (u, delta, B, C, y))
    inputs = (Sizes.of(u, A), in_u, in_delta, A, in_B, in_C)
    call('selective_scan_forward', A.dtype, *inputs, out, kept)
    return y, kept


def _backward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: bool, kept: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    sizes = Sizes.of(u, A)
    du, ddelta = empty_by_token(u), empty_by_token(delta)
    dA = A.new_empty(sizes.batch, *A.shape)
    dB, dC = (A.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    in_u, in_delta, in_B, in_C, in_dy = map(StridedTensor.of, (u, delta, B, C, dy))
    inputs = (sizes, in_u, in_delta, A, in_B, in_C, in_dy, kept)
    outputs = (StridedTensor.of(du), StridedTensor.of(ddelta), dA, dB, dC)
    call('selective_scan_backward', A.dtype, *inputs, *outputs)
    return du, ddelta, dA.sum(0), dB.sum(0).mT.to(B.dtype), dC.sum(0).mT.to(C.dtype)


_scan = custom_operator(
    'selective_scan_cpu',
    _forward,
    _backward,
    _outputs,
    kept=1,
    empty=empty_by_token,
    device_types='cpu',
)
