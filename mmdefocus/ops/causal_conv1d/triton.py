"""The convolution in Triton for GPUs, one pass over memory each way (traffic in README.md)."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from ..triton_support import cdiv

TILE = {'BLOCK_T': 64, 'BLOCK_D': 32}  # tokens and channels of a program


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
    K: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Computes what is before the SiLU again, for the block's tokens and the K - 1 after them.

    sums `(B blocks of tokens, K + 1, D)` are partial gradients of the taps and, last, the bias.
    """
    wide = taps.dtype.element_ty
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    b = tl.program_id(2).to(tl.int64)
    x += b * x_b + d * x_d
    dy += b * dy_b + d * dy_d
    sums += (b * tl.num_programs(0) + tl.program_id(0)) * (K + 1) * D + d
    dx_t = tl.zeros((BLOCK_T, BLOCK_D), wide)
    for later in tl.static_range(K):
        total = tl.zeros((BLOCK_T, BLOCK_D), wide) + tl.load(bias + d, d < D, 0)
        for k in tl.static_range(K):
            source = t + later - (K - 1) + k
            inside = (source >= 0) & (source < L) & (d < D)
            tap = tl.load(taps + k * D + d, d < D, 0)
            total += tap * tl.load(x + source * x_l, inside, 0).to(wide)
        dy_t = tl.load(dy + (t + later) * dy_l, (t + later < L) & (d < D), 0).to(wide)
        sigmoid = tl.sigmoid(total)
        dtotal = dy_t * sigmoid * (1 + total * (1 - sigmoid))
        dx_t += dtotal * tl.load(taps + (K - 1 - later) * D + d, d < D, 0)
        if later == 0:
            for k in tl.static_range(K):
                source = t - (K - 1) + k
                inside = (source >= 0) & (source < L) & (d < D)
                x_t = tl.load(x + source * x_l, inside, 0).to(wide)
                tl.store(sums + k * D, tl.sum(dtotal * x_t, 0, keep_dims=True), d < D)
            tl.store(sums + K * D, tl.sum(dtotal, 0, keep_dims=True), d < D)
    tl.store(dx + b * dx_b + t * dx_l + d * dx_d, dx_t, (t < L) & (d < D))


def _grid(x: Tensor) -> tuple[int, int, int]:
    batch, length, channels = x.shape
    return cdiv(length, TILE['BLOCK_T']), cdiv(channels, TILE['BLOCK_D']), batch


def _forward(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    y = empty_contiguous(x)
    strides = (s for tensor in (x, y) for s in tensor.stride())
    with torch.cuda.device_of(x):
        forward[_grid(x)](x, taps, bias, y, *x.shape[1:], *strides, K=len(taps), **TILE)
    return y


def _backward(x: Tensor, taps: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    grid, width = _grid(x), len(taps)
    dx = empty_contiguous(x)
    sums = taps.new_empty(grid[0] * grid[2], width + 1, x.shape[2])
    strides = (s for tensor in (x, dy, dx) for s in tensor.stride())
    with torch.cuda.device_of(x):
        backward[grid](x, taps, bias, dy, dx, sums, *x.shape[1:], *strides, K=width, **TILE)
    dtaps, dbias = sums.sum(0).split([width, 1])
    return dx, dtaps.clone(), dbias.flatten()


_convolve = custom_operator('causal_conv1d_triton', _forward, _backward, empty=empty_contiguous)
