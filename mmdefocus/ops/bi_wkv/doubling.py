"""Bidirectional WKV in plain torch, in log2(L) steps each way and memory linear in L.

A window of tokens is known by the largest exponent in it and by its sums over 2 to that power. Two
neighbouring windows make one of twice the width; the sums begin at one token each. Every window is
finite, whatever the keys (derivation in README.md).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import wide_dtype, without_autocast

LOWEST = -1e30  # an exponent that adds nothing; infinity less itself would be NaN


class Sums(NamedTuple):
    """Sums over the tokens i before each token t, all times `exp(-peak)`.

    Attributes:
        peak: The largest `e_i - w (t - 1 - i)`, `(B, L, C)`.
        plain: Of `exp(e_i - w (t - 1 - i)) x_i`, `(n, B, L, C)`.
        far: The same with each term times `t - 1 - i`.
    """

    peak: Tensor
    plain: Tensor
    far: Tensor


def _shift(x: Tensor, by: int, value: float = 0.0) -> Tensor:
    """Moves `(..., L, C)` by some tokens to the right."""
    return F.pad(x, (0, 0, by, 0), value=value)[..., : x.shape[-2], :]


def _sum_before(exponents: Tensor, x: Tensor, w: Tensor) -> Sums:
    """Sums x `(n, B, L, C)` with exponents `(B, L, C)` and rates w `(C,)` over earlier tokens."""
    window = Sums(exponents, x, torch.zeros_like(x))
    width = 1
    while width < exponents.shape[1]:
        peak = _shift(window.peak, width, LOWEST) - w * width
        plain, far = _shift(window.plain, width), _shift(window.far, width)
        highest = torch.maximum(window.peak, peak)
        own, other = (window.peak - highest).exp(), (peak - highest).exp()
        window = Sums(
            highest,
            window.plain * own + plain * other,
            window.far * own + (far + width * plain) * other,
        )
        width *= 2
    return Sums(_shift(window.peak, 1, LOWEST), *(_shift(x, 1) for x in window[1:]))


def _sum_around(exponents: Tensor, x: Tensor, w: Tensor) -> tuple[Sums, Sums]:
    """Returns the sums over the tokens before each token, and over those after it."""
    after = _sum_before(exponents.flip(1), x.flip(2), w)
    return _sum_before(exponents, x, w), Sums(*(part.flip(-2) for part in after))


def _forward(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and the logarithm of its denominator, both `(B, L, C)`."""
    own = torch.stack((torch.ones_like(v), v))
    before, after = _sum_around(k, own, w)
    peak = torch.maximum(torch.maximum(before.peak, after.peak), k + u)
    below, above = (
        before.plain * (before.peak - peak).exp()
        + after.plain * (after.peak - peak).exp()
        + own * (k + u - peak).exp()
    )
    return above / below, peak + below.log()


def _backward(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, y: Tensor, log_sum: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    given = torch.stack((dy, dy * y))
    sums = _sum_around(-log_sum, given, w)
    itself = (k + u - log_sum).exp()
    dv, less = given * itself
    dw = torch.zeros_like(k)
    for part in sums:
        weight = (k + part.peak).exp()
        dv, less = dv + part.plain[0] * weight, less + part.plain[1] * weight
        dw = dw - (v * part.far[0] - part.far[1]) * weight
    du = itself * dy * (v - y)
    return v * dv - less, dv, dw.sum((0, 1)), du.sum((0, 1))


_doubling = custom_operator(
    'bi_wkv_torch',
    _forward,
    _backward,
    lambda k, v, w, u: (torch.empty_like(v), torch.empty_like(v)),
    kept=2,
    empty=torch.empty_like,
)


def _widened(*tensors: Tensor) -> list[Tensor]:
    dtype = wide_dtype(torch.promote_types(tensors[0].dtype, tensors[1].dtype))
    return [x.to(dtype).contiguous() for x in tensors]


@without_autocast
def torch_bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """See `bi_wkv`."""
    y, _ = _doubling(*_widened(k, v, w, u))
    return y.to(v.dtype)


@without_autocast
def exportable_bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """Computes `torch_bi_wkv` of operations that `torch.export` knows."""
    y, _ = _forward(*_widened(k, v, w, u))
    return y.to(v.dtype)
