"""The selective scan in C++ for CPUs, see ../csrc/scan.h and README.md."""

import torch
from torch import Tensor

from ..compiled.call import call
from ..compiled.structs import Sizes, StridedTensor, readable
from ..custom_operator import custom_operator, needs_backward
from ..numerics import empty_by_token, empty_contiguous, wide_dtype
from ..operator import Outputs


def cpu_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Outputs:
    """See `selective_scan`. bfloat16 is read and written as it is; float16 is widened first."""
    dtype = wide_dtype(u.dtype)
    wide_u, delta, B, C = (readable(x, dtype) for x in (u, delta, B, C))
    if state is not None:
        state = state.to(dtype).contiguous()
    inputs = wide_u, delta, A.to(dtype).contiguous(), B, C, state
    keep = needs_backward(inputs)
    y, final, _ = _scan(*inputs, keep)
    y = y.to(u.dtype)
    return y if state is None else (y, final)


def _outputs(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    final = u.new_empty(0) if state is None else empty_contiguous(state)
    return empty_by_token(u), final, A.new_empty(Sizes.of(u, A).kept_shape if keep else 0)


def _forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns y, the final state and, to `keep` for the backward, states between.

    Computes in the dtype of A. Without an initial state there is no final one.
    """
    y, final, kept = _outputs(u, delta, A, B, C, state, keep)
    in_u, in_delta, in_B, in_C, out = map(StridedTensor.of, (u, delta, B, C, y))
    inputs = (Sizes.of(u, A), in_u, in_delta, A, in_B, in_C, state)
    call('selective_scan_forward', A.dtype, *inputs, out, None if state is None else final, kept)
    return y, final, kept


def _backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor | None,
    keep: bool,
    kept: Tensor,
    dy: Tensor | None,
    dfinal: Tensor | None,
) -> tuple[Tensor, ...]:
    sizes = Sizes.of(u, A)
    dy, dfinal, dstate = end_gradients(u, state, dy, dfinal)
    du, ddelta = empty_by_token(u), empty_by_token(delta)
    dA = A.new_empty(sizes.batch, *A.shape)
    dB, dC = (A.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    in_u, in_delta, in_B, in_C, in_dy = map(StridedTensor.of, (u, delta, B, C, dy))
    inputs = (sizes, in_u, in_delta, A, in_B, in_C, in_dy, dfinal, kept)
    outputs = (StridedTensor.of(du), StridedTensor.of(ddelta), dA, dB, dC)
    call('selective_scan_backward', A.dtype, *inputs, *outputs, dstate)
    dB, dC = dB.sum(0).mT.to(B.dtype), dC.sum(0).mT.to(C.dtype)
    return du, ddelta, dA.sum(0), dB, dC, u.new_empty(0) if dstate is None else dstate


def end_gradients(
    u: Tensor, state: Tensor | None, dy: Tensor | None, dfinal: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Returns what a backward in C needs, where autograd gives None for a gradient of zeros.

    Args:
        u: The input, whose shape and dtype the output has.
        state: The initial state, or None.
        dy: The gradient of the output, or None.
        dfinal: The gradient of the final state, or None.

    Returns:
        The gradient of the output, that of the final state or None, and memory for that of the
        initial state or None.
    """
    return (
        torch.zeros_like(u) if dy is None else dy,
        # without a state, what torch compiles gives an empty tensor for the gradient of none
        None if state is None or dfinal is None else dfinal.contiguous(),
        None if state is None else empty_contiguous(state),
    )


_scan = custom_operator(
    'selective_scan_cpu',
    _forward,
    _backward,
    _outputs,
    results=2,
    kept=1,
    empty=empty_by_token,
    device_types='cpu',
)
