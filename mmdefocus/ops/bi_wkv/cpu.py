"""Bidirectional WKV in C++ for CPUs, two scans each way; see csrc/bi_wkv.cpp."""

import torch
from torch import Tensor

from ..compiled.call import call, contiguous_channels, num_threads, strided
from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype


def cpu_bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """See `bi_wkv`. Pairs of bfloat16 are read as they are; others are widened.

    The output is rounded here: the gradient of w is a difference in which its rounding would count.
    """
    dtype = wide_dtype(torch.promote_types(k.dtype, v.dtype))
    narrow = k.dtype == v.dtype == torch.bfloat16
    keys, values = (contiguous_channels(x if narrow else x.to(dtype)) for x in (k, v))
    y, _ = _bi_wkv(keys, values, w.to(dtype).contiguous(), u.to(dtype).contiguous())
    return y.to(v.dtype)


def _outputs(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    y, log_sum = (v.new_empty(v.shape, dtype=w.dtype) for _ in range(2))
    return y, log_sum


def _forward(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and the logarithm of its denominator, both `(B, L, C)`."""
    y, peak = _outputs(k, v, w, u)
    total = torch.empty_like(peak)
    sizes = (*k.shape, num_threads())
    call('bi_wkv_forward', k.dtype, *sizes, *strided(k, v), w, u, y, peak, total)
    return y, peak.add_(total.log_())


def _backward(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, y: Tensor, log_sum: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    dk, dv = empty_contiguous(k), empty_contiguous(v)
    dw, du = (x.new_empty(len(k), *x.shape) for x in (w, u))  # of each image
    inputs = (*strided(k, v), w, u, y, log_sum, *strided(contiguous_channels(dy)))
    sizes = (*k.shape, num_threads())
    call('bi_wkv_backward', k.dtype, *sizes, *inputs, *strided(dk, dv), dw, du)
    return dk, dv, dw.sum(0), du.sum(0)


_bi_wkv = custom_operator(
    'bi_wkv_cpu',
    _forward,
    _backward,
    _outputs,
    kept=2,
    empty=empty_contiguous,
    device_types='cpu',
)
