"""The convolution as a sum of shifted products, differentiated by autograd."""

import torch.nn.functional as F
from torch import Tensor


def naive_causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `causal_conv1d`.

    In the layout of `x`, K products are four times as fast on a CPU as `torch.nn.Conv1d`, which
    wants `(B, D, L)`.
    """
    length, width = x.shape[1], weight.shape[1]
    padded = F.pad(x, (0, 0, width - 1, 0))
    y = bias.to(x.dtype)
    for k in range(width):
        y = y + padded[:, k : k + length] * weight[:, k].to(x.dtype)
    return F.silu(y)
