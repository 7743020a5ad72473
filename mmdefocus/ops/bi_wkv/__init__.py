"""Bidirectional WKV, the attention of Vision-RWKV (arXiv 2403.02308)."""

import torch
from torch import Tensor

from ..arguments import check_tensors
from ..compiled import build
from ..operator import Backend, Operator, Shape, like, register, run
from ..triton_support import triton_backend
from .cpu import cpu_bi_wkv
from .doubling import exportable_bi_wkv, torch_bi_wkv
from .naive import naive_bi_wkv

__all__ = ['bi_wkv']

DIMENSIONS = {'k': 'BLC', 'v': 'BLC', 'w': 'C', 'u': 'C'}


def bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor, *, backend: str = 'auto') -> Tensor:
    """Averages the values of all tokens, each channel with weights of its own.

    For token t the value of i has the weight `exp(k_i - w (|t - i| - 1))`, its own `exp(k_t + u)`;
    the weights are divided by their sum. No exponential overflows, whatever the keys and the sign
    of w. Time and memory are linear in L, but for the naive backend.

    Args:
        k: Keys, `(B, L, C)`, float64, float32, bfloat16 or float16.
        v: Values, `(B, L, C)`.
        w: Decay of the logarithm of a weight from one token to the next, `(C,)`. Vision-RWKV
            divides a parameter by L; a negative one favours far tokens.
        u: Added to the key of the token itself, `(C,)`.
        backend: A name of `available_backends()['bi_wkv']`, or 'auto'.

    Returns:
        `(B, L, C)` in the dtype of `v`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'k': k, 'v': v, 'w': w, 'u': u}, DIMENSIONS)
    return run('bi_wkv', backend, k, v, w, u)


def flops(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> int:
    """Returns `25 B L C` for k `(B, L, C)`.

    A scan takes 8 for each token and channel: `peak - w`, the difference of two exponents, an
    exponential, two sums scaled and added to; both scans are joined with the token itself in 9.
    """
    return 25 * k.numel()


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns keys and values, and rates as of a model after its first steps."""
    batch, length, channels, _ = shape
    k, v = (torch.randn(batch, length, channels, dtype=dtype) for _ in range(2))
    w = torch.linspace(-5, 3, channels) / max(1, length)
    return {'k': k, 'v': v, 'w': w.to(dtype), 'u': torch.randn(channels).to(dtype)}


register(
    Operator(
        bi_wkv,
        backends={
            'cpu': Backend(cpu_bi_wkv, build.why_not),
            'triton': triton_backend('bi_wkv'),
            'torch': Backend(torch_bi_wkv),
            'naive': Backend(naive_bi_wkv),
        },
        exportable=exportable_bi_wkv,
        example=example,
        cost=flops,
        empty_output=like(1),
    )
)
