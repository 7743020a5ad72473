"""The convolution in Triton for GPUs, one pass over memory each way (traffic in README.md)."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from ..triton_support import cdiv

TILE = {'BLOCK_T': 64, 'BLOCK_D': 32}  # tokens and channels of a program
BACKWARD_TILE = {'STEP': 8, 'BLOCK_T': 64, 'BLOCK_D': 256}


def triton_causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `causal_conv1d`."""
    dtype = wide_dtype(x.dtype)
    return _convolve(x, weight.to(dtype).T.contiguous(), bias.to(dtype).contiguous())


@triton.jit
def forward(
    x, taps, bias, y,
    L, D, x_b, x_l, x_d, y_b, y_l, y_d,
    K: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """A block of channels of a block of tokens; the sums are in the dtype of `taps`, `(K, D)`."""
    wide = taps.dtype.element_ty
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    b = tl.program_id(2).to(tl.int64)
    x += b * x_b + d * x_d
    total = tl.zeros((BLOCK_T, BLOCK_D), wide) + tl.load(bias + d, d < D, 0)
    for k in tl.static_range(K):
        source = t - (K - 1) + k
        inside = (source >= 0) & (source < L) & (d < D)
        tap = tl.load(taps + k * D + d, d < D, 0)
        total += tap * tl.load(x + source * x_l, inside, 0).to(wide)
    place = b * y_b + t * y_l + d * y_d
    tl.store(y + place, total * tl.sigmoid(total), (t < L) & (d < D))


@triton.jit
def backward(
    x, taps, bias, dy, dx, sums,
    L, D, x_b, x_l, x_d, dy_b, dy_l, dy_d, dx_b, dx_l, dx_d,
    K: tl.constexpr, STEP: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Goes through the tokens of a block, STEP at a time, with a block of channels.

    What is before the SiLU is computed again, for the K - 1 tokens after those of the step as well.
    sums `(B blocks of tokens, K + 1, D)` are partial gradients of the taps and, last, the bias.
    """
    wide = taps.dtype.element_ty
    first = tl.program_id(0) * BLOCK_T
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    b = tl.program_id(2).to(tl.int64)
    in_d = d < D
    x += b * x_b + d * x_d
    dy += b * dy_b + d * dy_d
    dx += b * dx_b + d * dx_d
    bias_d = tl.load(bias + d, in_d, 0)
    taps_d = ()
    totals = ()
    for k in tl.static_range(K + 1):
        taps_d += (tl.load(taps + k * D + d, in_d & (k < K), 0),)
        totals += (tl.zeros((BLOCK_D,), wide),)
    for start in range(first, tl.minimum(first + BLOCK_T, L), STEP):
        inputs = ()
        for i in tl.static_range(STEP + 2 * (K - 1)):
            t = start - (K - 1) + i
            # not `&`, of which the interpreter of Triton 3.9 makes no mask
            there = tl.where((t >= 0) & (t < L), in_d, False)
            inputs += (tl.load(x + t * x_l, there, 0).to(wide),)
        gradients = ()
        for i in tl.static_range(STEP + K - 1):
            total = bias_d
            for k in tl.static_range(K):
                total += taps_d[k] * inputs[i + k]
            there = tl.where(start + i < L, in_d, False)
            dy_t = tl.load(dy + (start + i) * dy_l, there, 0).to(wide)
            sigmoid = tl.sigmoid(total)
            gradients += (dy_t * sigmoid * (1 + total * (1 - sigmoid)),)
        for i in tl.static_range(STEP):
            dx_t = tl.zeros((BLOCK_D,), wide)
            for later in tl.static_range(K):
                dx_t += gradients[i + later] * taps_d[K - 1 - later]
            tl.store(dx + (start + i) * dx_l, dx_t, tl.where(start + i < L, in_d, False))
        added = ()
        for k in tl.static_range(K + 1):
            total = totals[k]
            for i in tl.static_range(STEP):
                total += gradients[i] * inputs[i + k] if k < K else gradients[i]
            added += (total,)
        totals = added
    sums += (b * tl.num_programs(0) + tl.program_id(0)) * (K + 1) * D + d
    for k in tl.static_range(K + 1):
        tl.store(sums + k * D, totals[k], in_d)


def _grid(x: Tensor, tile: dict[str, int]) -> tuple[int, int, int]:
    batch, length, channels = x.shape
    return cdiv(length, tile['BLOCK_T']), cdiv(channels, tile['BLOCK_D']), batch


def _forward(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    y = empty_contiguous(x)
    strides = (s for tensor in (x, y) for s in tensor.stride())
    with torch.cuda.device_of(x):
        forward[_grid(x, TILE)](x, taps, bias, y, *x.shape[1:], *strides, K=len(taps), **TILE)
    return y


def _backward(x: Tensor, taps: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    grid, width = _grid(x, BACKWARD_TILE), len(taps)
    dx = empty_contiguous(x)
    sums = taps.new_empty(grid[0] * grid[2], width + 1, x.shape[2])
    strides = (s for tensor in (x, dy, dx) for s in tensor.stride())
    with torch.cuda.device_of(x):
        backward[grid](
            x, taps, bias, dy, dx, sums, *x.shape[1:], *strides, K=width, **BACKWARD_TILE
        )
    dtaps, dbias = sums.sum(0).split([width, 1])
    return dx, dtaps.clone(), dbias.flatten()


_convolve = custom_operator('causal_conv1d_triton', _forward, _backward, empty=empty_contiguous)
