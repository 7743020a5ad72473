"""The rotary embedding in Triton for GPUs, one pass over memory each way (traffic in README.md)."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_by_token, wide_dtype
from ..triton_support import cdiv
from .naive import naive_apply_rotary

ELEMENTS = 1024  # in a program: tokens times channels


def triton_apply_rotary(x: Tensor, freqs: Tensor, positions: Tensor) -> Tensor:
    """See `apply_rotary`. Where positions have a gradient it is the naive backend that computes."""
    if positions.requires_grad:
        return naive_apply_rotary(x, freqs, positions)
    dtype = wide_dtype(x.dtype)
    leading, width = x.shape[:-2], x.shape[-1]
    if x.dim() != 4 or freqs.dim() > 2:  # all of the leading dimensions are heads
        freqs = freqs.expand(*leading, width).reshape(-1, width)
        heads = x.reshape(1, -1, *x.shape[-2:])
    else:
        heads = x
    freqs = freqs.to(dtype).expand(heads.shape[1], width)
    return _turn(heads, freqs, positions.to(dtype)).reshape(x.shape)


@triton.jit
def pairs_of(x, BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr):
    """Splits `(T, N)` into the first and the second channels of the pairs, `(T, N / 2)` each."""
    return tl.split(tl.reshape(x, (BLOCK_T, BLOCK_N // 2, 2)))


@triton.jit
def channels_of(first, second, BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr):
    """Undoes `pairs_of`."""
    return tl.reshape(tl.join(first, second), (BLOCK_T, BLOCK_N))


@triton.jit
def place_of(L, N, BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr):
    """Returns image, head, tokens and channels of a program, and which of them there are."""
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    n = tl.arange(0, BLOCK_N)[None, :]
    return tl.program_id(2).to(tl.int64), tl.program_id(1), t, n, (t < L) & (n < N)


@triton.jit
def turns_of(
    freqs, position, h, n, N, freqs_h, freqs_n, BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr
):
    """Returns the cosines and the sines of the first and the second channels of the pairs."""
    angles = position * tl.load(freqs + h * freqs_h + n * freqs_n, n < N, 0)
    cos_1, cos_2 = pairs_of(tl.cos(angles), BLOCK_T, BLOCK_N)
    sin_1, sin_2 = pairs_of(tl.sin(angles), BLOCK_T, BLOCK_N)
    return cos_1, cos_2, sin_1, sin_2


@triton.jit
def load_pairs(
    x, b, h, t, n, x_b, x_h, x_l, x_n, inside,
    wide: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Loads the first and the second channels of the pairs of some tokens."""
    place = b * x_b + h * x_h + t * x_l + n * x_n
    return pairs_of(tl.load(x + place, inside, 0).to(wide), BLOCK_T, BLOCK_N)


@triton.jit
def forward(
    x, freqs, positions, y,
    L, N, x_b, x_h, x_l, x_n, freqs_h, freqs_n, y_b, y_h, y_l, y_n,
    BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Turns a block of tokens of a head; angles are in the dtype of `freqs`, `(H, N)`."""
    wide = freqs.dtype.element_ty
    b, h, t, n, inside = place_of(L, N, BLOCK_T, BLOCK_N)
    position = tl.load(positions + t, t < L, 0)
    cos_1, cos_2, sin_1, sin_2 = turns_of(
        freqs, position, h, n, N, freqs_h, freqs_n, BLOCK_T, BLOCK_N
    )
    x_1, x_2 = load_pairs(x, b, h, t, n, x_b, x_h, x_l, x_n, inside, wide, BLOCK_T, BLOCK_N)
    turned = channels_of(x_1 * cos_1 - x_2 * sin_1, x_2 * cos_2 + x_1 * sin_2, BLOCK_T, BLOCK_N)
    tl.store(y + b * y_b + h * y_h + t * y_l + n * y_n, turned, inside)


@triton.jit
def backward(
    x, freqs, positions, dy, dx, sums,
    L, N, x_b, x_h, x_l, x_n, freqs_h, freqs_n,
    dy_b, dy_h, dy_l, dy_n, dx_b, dx_h, dx_l, dx_n,
    BLOCK_T: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Turns gradients back; sums `(B blocks of tokens, H, N)` are partial gradients of `freqs`."""
    wide = freqs.dtype.element_ty
    b, h, t, n, inside = place_of(L, N, BLOCK_T, BLOCK_N)
    position = tl.load(positions + t, t < L, 0)
    cos_1, cos_2, sin_1, sin_2 = turns_of(
        freqs, position, h, n, N, freqs_h, freqs_n, BLOCK_T, BLOCK_N
    )
    x_1, x_2 = load_pairs(x, b, h, t, n, x_b, x_h, x_l, x_n, inside, wide, BLOCK_T, BLOCK_N)
    dy_1, dy_2 = load_pairs(dy, b, h, t, n, dy_b, dy_h, dy_l, dy_n, inside, wide, BLOCK_T, BLOCK_N)
    turned = channels_of(dy_1 * cos_1 + dy_2 * sin_2, dy_2 * cos_2 - dy_1 * sin_1, BLOCK_T, BLOCK_N)
    tl.store(dx + b * dx_b + h * dx_h + t * dx_l + n * dx_n, turned, inside)
    dangles = channels_of(
        -dy_1 * (x_1 * sin_1 + x_2 * cos_1), dy_2 * (x_1 * cos_2 - x_2 * sin_2), BLOCK_T, BLOCK_N
    )
    share = b * tl.num_programs(0) + tl.program_id(0)
    place = (share * tl.num_programs(1) + h) * N + n
    tl.store(sums + place, tl.sum(position * dangles, 0, keep_dims=True), n < N)


def _tile(x: Tensor) -> dict[str, int]:
    width = triton.next_power_of_2(x.shape[-1])
    return {'BLOCK_T': max(1, ELEMENTS // width), 'BLOCK_N': width}


def _grid(x: Tensor, tile: dict[str, int]) -> tuple[int, int, int]:
    batch, heads, length, _ = x.shape
    return cdiv(length, tile['BLOCK_T']), heads, batch


def _forward(x: Tensor, freqs: Tensor, positions: Tensor) -> Tensor:
    y, tile = empty_by_token(x), _tile(x)
    strides = (s for tensor in (x, freqs, y) for s in tensor.stride())
    with torch.cuda.device_of(x):
        forward[_grid(x, tile)](x, freqs, positions.contiguous(), y, *x.shape[2:], *strides, **tile)
    return y


def _backward(x: Tensor, freqs: Tensor, positions: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    dx, tile = empty_by_token(x), _tile(x)
    blocks, heads, batch = grid = _grid(x, tile)
    sums = freqs.new_empty(batch * blocks, heads, x.shape[3])
    strides = (s for tensor in (x, freqs, dy, dx) for s in tensor.stride())
    with torch.cuda.device_of(x):
        backward[grid](
            x, freqs, positions.contiguous(), dy, dx, sums, *x.shape[2:], *strides, **tile
        )
    return dx, sums.sum(0)


_turn = custom_operator(
    'apply_rotary_triton', _forward, _backward, empty=empty_by_token, constant=(2,)
)
