"""Precision and memory layout, in which all operators agree."""

import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Returns the dtype of sums over values of `dtype`: float32, or float64 for float64."""
    return torch.promote_types(dtype, torch.float32)


def without_autocast(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Runs a function without autocast on the device of its first argument, a tensor.

    Autocast reaches into custom operators: their float32 matrix products would be bfloat16.
    """

    @functools.wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        first: Any = args[0]
        device = first.device.type
        if device == 'meta':  # which autocast does not know
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return run


def decay(log_decay: Tensor, distance: Tensor) -> Tensor:
    """Returns `fade(log_decay * distance)`.

    Args:
        log_decay: λ, broadcast against `distance`.
        distance: Tokens between two tokens, not negative.
    """
    return fade(log_decay * distance)


def fade(exponent: Tensor) -> Tensor:
    """Returns `exp(exponent)`, and 0 where that is below eps².

    So small a share is lost in the rounding of any sum with near tokens (eps² is 1.4e-14 in
    float32, 4.9e-32 in float64), but products of two such numbers are denormal, and a CPU
    multiplies matrices with denormals several times more slowly. NaN comes through.
    """
    return torch.threshold(torch.exp(exponent), torch.finfo(exponent.dtype).eps ** 2, 0.0)


def causal_product(weights: Tensor, x: Tensor) -> Tensor:
    """Returns `weights @ x`, in which NaN and infinity reach no earlier token.

    A product of matrices multiplies them by the zeros above the diagonal too, which is NaN. Whether
    it did is seen in the first token on a CPU; a GPU would have to be waited for.

    Args:
        weights: Lower triangular, `(..., L, L)`.
        x: `(..., L, C)`.
    """
    if x.device.type == 'cpu':
        y = weights @ x
        if not y.numel() or math.isfinite(y[..., 0, :].sum().item()):
            return y
    bad = ~x.isfinite()
    finite = x.clone().masked_fill_(bad, 0)  # of the strides of x, since they decide on roundings
    return (weights @ finite).masked_fill_(bad.cumsum(-2) > 0, math.nan)


def empty_contiguous(x: Tensor) -> Tensor:
    """Returns memory for a tensor such as `x`, without gaps, its last dimension innermost."""
    return x.new_empty(x.shape)


def empty_by_token(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Returns memory for a tensor such as `x` that goes token by token, as that of the mixers.

    `(B, D, L)` is `(B, L, D)` there and `(B, H, L, K)` is `(B, L, H, K)`. Weights, of fewer
    dimensions, are contiguous. Without a dtype it is that of `x`.
    """
    match x.shape:
        case (batch, channels, length):
            return x.new_empty(batch, length, channels, dtype=dtype).mT
        case (batch, heads, length, width):
            return x.new_empty(batch, length, heads, width, dtype=dtype).transpose(1, 2)
    return x.new_empty(x.shape, dtype=dtype)
