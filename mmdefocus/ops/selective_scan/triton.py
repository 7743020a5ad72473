"""The selective scan in Triton for GPUs (derivation, passes and traffic in README.md).

A program scans a block of channels along a segment of the sequence, their states in registers.
Where images and channels make too few programs, the sequence is cut into several segments: first
each is scanned from a state of 0, then the states are carried over the segments, then each is
scanned again from its true state. The forward keeps the state once every `CHUNK` tokens; the
backward computes the others again. Every sum has a fixed order.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from ..custom_operator import custom_operator, needs_backward, parameters_of
from ..numerics import empty_by_token, wide_dtype
from ..operator import Outputs
from ..triton_support import cdiv
from . import triton_kernels
from .triton_kernels import carry_states, scan, scan_backward, scan_from_zero

CHUNK = triton_kernels.CHUNK.value
LANES = 32  # channels of a program that scans: one a thread, with all its states
TILE = 256  # states in a program of the backward
PROGRAMS = 4096  # of the backward, before the sequence is cut
AT_ONCE = 2112  # programs of the backward, each with a share of dB and dC: two rounds of an H100
STEP = 4  # tokens that the forward loads at once
MIN_SEGMENT = 64  # tokens


class Scan(NamedTuple):
    """What is scanned, see `selective_scan`; with a bias the time steps are softplus(delta + bias).

    From a state there is a final one as well.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    state: Tensor | None = None
    bias: Tensor | None = None


def triton_selective_scan(*arguments: Any) -> Outputs:
    """See `Scan`."""
    x = Scan(*arguments)
    if x.bias is not None:
        x = x._replace(bias=x.bias.to(wide_dtype(x.u.dtype)).contiguous())
    y, final, _ = _scan(*x, needs_backward(x))
    return y if x.state is None else (y, final)


def scanned(x: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Returns y, the final state and, to `keep`, the states before the chunks, `(B, chunks, D, N)`.

    Without an initial state there is no final one.
    """
    batch, channels, length = x.u.shape
    states = x.A.shape[1]
    segment, segments = _segments(x.u, x.A)
    y, final, kept = scanned_outputs(x, keep)
    starts = kept.new_zeros(batch, segments, states, channels).mT
    if x.state is not None:
        starts[:, 0] = x.state
    with torch.cuda.device_of(x.u):
        if segments > 1:
            _carried(starts, x.u, x.B, x, segment, reverse=False)
        scan[cdiv(channels, LANES), segments, batch](
            *(x.u, x.delta, x.bias, x.A, x.B, x.C, starts, y, kept),
            *(length, channels, states, segment, kept.shape[1]),
            *(s for tensor in (x.u, x.delta, x.A, x.B, x.C, starts, y) for s in tensor.stride()),
            KEEP=keep,
            KEEP_END=x.state is not None,
            SOFTPLUS=x.bias is not None,
            STEP=STEP,
            BLOCK_N=triton.next_power_of_2(states),
            BLOCK_D=LANES,
            num_warps=1,
        )
    if x.state is not None:
        final.copy_(starts[:, -1])
    return y, final, kept


def scan_gradients(
    x: Scan,
    kept: Tensor,
    dy: Tensor,
    dfinal: Tensor | None,
    du: Tensor,
    ddelta: Tensor,
    add_du: bool = False,
) -> tuple[Tensor, ...]:
    """Fills in the gradients of u and delta; returns those of A, B, C, the state and the bias.

    Args:
        x: What was scanned.
        kept: The states before the chunks.
        dy: The gradient of y.
        dfinal: That of the final state; None is 0.
        du: Memory, which may hold a share of the gradient of u.
        ddelta: Memory; may be that of `dy`.
        add_du: Whether it holds that share, to which the one of the scan is added.
    """
    (batch, channels, _), states = x.u.shape, x.A.shape[1]
    segment, segments = _segments(x.u, x.A)
    ends = kept.new_zeros(batch, segments, channels, states)
    if x.state is not None and dfinal is not None:  # what is compiled gives zeros for no gradient
        ends[:, -1] = dfinal
    with torch.cuda.device_of(x.u):
        if segments > 1:
            _carried(ends, dy, x.C, x, segment, reverse=True)
        dB, dC, dA, dbias = _scanned_back(x, segment, kept, dy, ends, du, ddelta, add_du)
    dstate = x.u.new_empty(0) if x.state is None else empty_by_token(x.state).copy_(ends[:, 0])
    dbias = x.u.new_empty(0) if x.bias is None else dbias.sum(0)
    return dA.sum(0).to(x.A.dtype), dB.mT, dC.mT, dstate, dbias


def scanned_outputs(x: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what `scanned` does, uninitialised."""
    batch, _, length = x.u.shape
    chunks = cdiv(length, CHUNK) if keep else 0
    kept = x.u.new_empty(batch, chunks, *x.A.shape, dtype=wide_dtype(x.u.dtype))
    final = x.u.new_empty(0) if x.state is None else empty_by_token(x.state)
    return empty_by_token(x.u), final, kept


def _outputs(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return scanned_outputs(Scan(*arguments[:-1]), arguments[-1])


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return scanned(Scan(*arguments[:-1]), arguments[-1])


def _backward(*arguments: Any) -> tuple[Tensor, ...]:
    *inputs, _, kept, dy, dfinal = arguments
    x = Scan(*inputs)
    dy = torch.zeros_like(x.u) if dy is None else dy
    du, ddelta = empty_by_token(x.u), empty_by_token(x.delta)
    return du, ddelta, *scan_gradients(x, kept, dy, dfinal, du, ddelta)


def _scanned_back(
    x: Scan,
    segment: int,
    kept: Tensor,
    dy: Tensor,
    ends: Tensor,
    du: Tensor,
    ddelta: Tensor,
    add_du: bool,
) -> tuple[Tensor, ...]:
    """Fills in du and ddelta, a part of the images at a time.

    Returns dB and dC, `(B, L, N)`, and the shares of dA and dbias, which are to be summed. Each
    block of channels has a share of dB and dC: those of all images would be most of the memory.
    """
    (batch, channels, length), (_, segments, _, states) = x.u.shape, ends.shape
    width, block = _tile(states)
    blocks = cdiv(channels, block)
    dA = kept.new_empty(batch * segments, channels, states)
    dbias = kept.new_empty(batch * segments, channels)
    parts = []
    images = _images(blocks * segments)
    for first in range(0, max(1, batch), images):  # of no images, one empty part
        part = slice(first, first + images)
        rows = slice(first * segments, (first + images) * segments)
        u, delta, B, C = (tensor[part] for tensor in (x.u, x.delta, x.B, x.C))
        shares = kept.new_empty(2, blocks, len(u), length, states)
        scan_backward[blocks, segments, len(u)](
            *(u, delta, x.bias, x.A, B, C, dy[part], kept[part], ends[part]),
            *(du[part], ddelta[part], dbias[rows], dA[rows], *shares),
            *(length, channels, states, segment, kept.shape[1]),
            *(s for tensor in (u, delta, x.A, B, C) for s in tensor.stride()),
            *(s for tensor in (dy, ends, du, ddelta) for s in tensor.stride()),
            ADD_DU=add_du,
            KEEP_END=x.state is not None,
            SOFTPLUS=x.bias is not None,
            BLOCK_D=block,
            BLOCK_N=width,
            num_warps=1,
        )
        parts.append([share.sum(0).to(y.dtype) for share, y in zip(shares, (B, C), strict=True)])
        del shares  # before those of the next part
    dB, dC = parts[0] if len(parts) == 1 else map(torch.cat, zip(*parts, strict=True))
    return dB, dC, dA, dbias


_scan = custom_operator(
    'selective_scan_triton',
    _forward,
    _backward,
    _outputs,
    results=2,
    kept=1,
    empty=empty_by_token,
    schema=f'({parameters_of(Scan)}, bool keep) -> (Tensor, Tensor, Tensor)',
)


def _carried(
    states: Tensor, values: Tensor, weight: Tensor, x: Scan, segment: int, reverse: bool
) -> None:
    """Fills in the state before each segment or, in reverse, the gradient after it.

    Args:
        states: `(B, S, D, N)`, the result; holds the first one carried already.
        values: u, or in reverse the gradient of y.
        weight: B, or in reverse C.
        x: What is scanned.
        segment: Tokens in a segment.
        reverse: Whether gradients are carried, from the last token to the first.
    """
    batch, segments, channels, state = states.shape
    ends = torch.empty_like(states)
    steps = states.new_empty(batch, segments, channels)
    width = triton.next_power_of_2(state)
    scan_from_zero[cdiv(channels, LANES), segments, batch](
        *(values, weight, x.delta, x.bias, x.A, ends, steps),
        *(values.shape[2], channels, state, segment),
        *(s for tensor in (values, weight, x.delta, x.A, ends) for s in tensor.stride()),
        REVERSE=reverse,
        SOFTPLUS=x.bias is not None,
        STEP=STEP,
        BLOCK_N=width,
        BLOCK_D=LANES,
        num_warps=1,
    )
    carry_states[cdiv(channels, LANES), batch](
        *(ends, steps, x.A, states),
        *(segments, channels, state),
        *(s for tensor in (x.A, ends) for s in tensor.stride()),
        REVERSE=reverse,
        BLOCK_N=width,
        BLOCK_D=LANES,
        num_warps=1,
    )


def _segments(u: Tensor, A: Tensor) -> tuple[int, int]:
    """Returns the tokens in a segment, a multiple of CHUNK, and how many there are."""
    batch, channels, length = u.shape
    programs = batch * cdiv(channels, _tile(A.shape[1])[1])
    wanted = max(MIN_SEGMENT, cdiv(length * programs, PROGRAMS))
    segment = min(cdiv(wanted, CHUNK), max(1, cdiv(length, CHUNK))) * CHUNK
    return segment, max(1, cdiv(length, segment))


def _images(programs: int) -> int:
    """Returns how many images the backward takes at once, given the programs of each."""
    return max(1, AT_ONCE // max(1, programs))


def _tile(state: int) -> tuple[int, int]:
    """Returns how many states and channels a program of the backward holds, powers of 2."""
    width = triton.next_power_of_2(state)
    return width, max(4, min(32, TILE // width))
