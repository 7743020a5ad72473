"""The convolution as a sum of shifted products, differentiated by autograd."""

import torch.nn.functional as F
from torch import Tensor

from ..numerics import wide_dtype


def naive_causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `causal_conv1d`.

    In the layout of `x`, K products are four times as fast on a CPU as `torch.nn.Conv1d`, which
    wants `(B, D, L)`.
    """
    length, width = x.shape[1], weight.shape[1]
    dtype = wide_dtype(x.dtype)
    padded = F.pad(x.to(dtype), (0, 0, width - 1, 0))
    y = bias.to(dtype)
    for k in range(width):
        y = y + padded[:, k : k + length] * weight[:, k].to(dtype)
    return F.silu(y).to(x.dtype)
