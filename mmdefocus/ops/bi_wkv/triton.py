"""Bidirectional WKV in Triton for GPUs: a scan from the end, and one from the start, each way."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from ..triton_support import cdiv

CHANNELS = 32  # of a program, one a thread


def triton_bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """See `bi_wkv`."""
    dtype = wide_dtype(torch.promote_types(k.dtype, v.dtype))
    y, _ = _bi_wkv(k, v, w.to(dtype).contiguous(), u.to(dtype).contiguous())
    return y.to(v.dtype)  # the gradient of w is a difference in which its rounding would count


@triton.jit
def own_channels(C, w, u, BLOCK: tl.constexpr):
    """Returns image and channels of a program, which of them there are, and their rates."""
    b = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = c < C
    return b, c, inside, tl.load(w + c, inside, 0), tl.load(u + c, inside, 0)


@triton.jit
def nothing(BLOCK: tl.constexpr, wide: tl.constexpr):
    """Returns first and since of `add` before any token, and a sum of none."""
    return tl.full((BLOCK,), -1e30, wide), tl.zeros((BLOCK,), wide), tl.zeros((BLOCK,), wide)


@triton.jit
def add(first, since, w, exponent):
    """Joins a token with what a scan has passed, whose peak is `first - w * since`.

    An exponent far above the peak becomes the peak; scaling sums more often would add up roundings.
    Returns the new first and since, and the factors of the old sums and of the token.
    """
    ahead = first - w * since - exponent
    behind = ahead < -16
    factor = tl.exp(tl.where(behind, ahead, -ahead))
    first = tl.where(behind, exponent, first)
    since = tl.where(behind, 0.0, since)
    return first, since, tl.where(behind, factor, 1.0), tl.where(behind, 1.0, factor)


@triton.jit
def forward(
    k, v, w, u, y, log_sum, tails,
    L, C, k_b, k_l, k_c, v_b, v_l, v_c, BLOCK: tl.constexpr,
):  # fmt: skip
    """Channels of an image; tails `(3, B, L, C)` gets peak and sums of the tokens after each."""
    wide = w.dtype.element_ty
    b, c, inside, rate, bonus = own_channels(C, w, u, BLOCK)
    k += b * k_b + c * k_c
    v += b * v_b + c * v_c
    own = b * L * C + c  # where token 0 is in what is contiguous
    plane = tl.num_programs(0).to(tl.int64) * L * C

    first, since, below = nothing(BLOCK, wide)
    above = below
    for i in range(L):
        t = L - 1 - i
        place = tails + own + t * C
        tl.store(place, first - rate * since, inside)
        tl.store(place + plane, below, inside)
        tl.store(place + 2 * plane, above, inside)
        key = tl.load(k + t * k_l, inside, 0).to(wide)
        value = tl.load(v + t * v_l, inside, 0).to(wide)
        first, since, kept, taken = add(first, since + 1, rate, key)
        below = below * kept + taken
        above = above * kept + value * taken

    first, since, below = nothing(BLOCK, wide)
    above = below
    for t in range(L):
        place = tails + own + t * C
        key = tl.load(k + t * k_l, inside, 0).to(wide)
        value = tl.load(v + t * v_l, inside, 0).to(wide)
        peak = first - rate * since
        tail = tl.load(place, inside, 0)
        highest = tl.maximum(tl.maximum(peak, tail), key + bonus)
        before, after = tl.exp(peak - highest), tl.exp(tail - highest)
        itself = tl.exp(key + bonus - highest)
        total = below * before + tl.load(place + plane, inside, 0) * after + itself
        sums = above * before + tl.load(place + 2 * plane, inside, 0) * after + value * itself
        tl.store(y + own + t * C, sums / total, inside)
        tl.store(log_sum + own + t * C, highest + tl.log(total), inside)
        first, since, kept, taken = add(first, since + 1, rate, key)
        below = below * kept + taken
        above = above * kept + value * taken


@triton.jit
def backward(
    k, v, w, u, y, log_sum, dy, dk, dv, dw, du, tails,
    L, C, k_b, k_l, k_c, v_b, v_l, v_c, dy_b, dy_l, dy_c, BLOCK: tl.constexpr,
):  # fmt: skip
    """As `forward`; tails `(2, B, L, C)` gets the shares of the tokens after each.

    dw and du `(B, C)` are those of an image. See README.md for the sums.
    """
    wide = w.dtype.element_ty
    b, c, inside, rate, bonus = own_channels(C, w, u, BLOCK)
    k += b * k_b + c * k_c
    v += b * v_b + c * v_c
    dy += b * dy_b + c * dy_c
    own = b * L * C + c
    plane = tl.num_programs(0).to(tl.int64) * L * C
    dw_sum = tl.zeros((BLOCK,), wide)
    du_sum = tl.zeros((BLOCK,), wide)

    for way in tl.static_range(2):  # from the end, and then from the start
        first, since, near = nothing(BLOCK, wide)  # near: of dy
        near_y = tl.zeros((BLOCK,), wide)  # of dy y
        far = tl.zeros((BLOCK,), wide)  # likewise, each term times its distance
        far_y = tl.zeros((BLOCK,), wide)
        for i in range(L):
            t = i + (L - 1 - 2 * i) * (1 - way)
            place = own + t * C
            key = tl.load(k + t * k_l, inside, 0).to(wide)
            value = tl.load(v + t * v_l, inside, 0).to(wide)
            gradient = tl.load(dy + t * dy_l, inside, 0).to(wide)
            mean = tl.load(y + place, inside, 0)
            exponent = -tl.load(log_sum + place, inside, 0)
            weight = tl.exp(key + first - rate * since)
            dv_t = near * weight
            less = near_y * weight
            dw_sum += (far_y - value * far) * weight
            if way == 0:
                tl.store(tails + place, dv_t, inside)
                tl.store(tails + plane + place, less, inside)
            else:
                itself = tl.exp(key + bonus + exponent) * gradient
                dv_t += tl.load(tails + place, inside, 0) + itself
                less += tl.load(tails + plane + place, inside, 0) + itself * mean
                du_sum += itself * (value - mean)
                tl.store(dv + place, dv_t, inside)
                tl.store(dk + place, value * dv_t - less, inside)
            far += near
            far_y += near_y
            first, since, kept, taken = add(first, since + 1, rate, exponent)
            near = near * kept + gradient * taken
            near_y = near_y * kept + gradient * mean * taken
            far *= kept
            far_y *= kept
    tl.store(dw + b * C + c, dw_sum, inside)
    tl.store(du + b * C + c, du_sum, inside)


def _outputs(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    y, log_sum = (v.new_empty(v.shape, dtype=w.dtype) for _ in range(2))
    return y, log_sum


def _grid(k: Tensor) -> tuple[int, int]:
    return len(k), cdiv(k.shape[2], CHANNELS)


def _forward(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    y, log_sum = _outputs(k, v, w, u)
    tails = w.new_empty(3, *k.shape)
    strides = (*k.stride(), *v.stride())
    if k.numel():
        with torch.cuda.device_of(k):
            forward[_grid(k)](
                *(k, v, w, u, y, log_sum, tails, *k.shape[1:], *strides),
                BLOCK=CHANNELS,
                num_warps=1,
            )
    return y, log_sum


def _backward(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, y: Tensor, log_sum: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    dk, dv = empty_contiguous(k), empty_contiguous(v)
    dw, du = (w.new_zeros(len(k), *w.shape) for _ in range(2))
    tails = w.new_empty(2, *k.shape)
    strides = (*k.stride(), *v.stride(), *dy.stride())
    if k.numel():
        with torch.cuda.device_of(k):
            backward[_grid(k)](
                *(k, v, w, u, y, log_sum, dy, dk, dv, dw, du, tails, *k.shape[1:], *strides),
                BLOCK=CHANNELS,
                num_warps=1,
            )
    return dk, dv, dw.sum(0), du.sum(0)


_bi_wkv = custom_operator(
    'bi_wkv_triton', _forward, _backward, _outputs, kept=2, empty=empty_contiguous
)
