"""Depthwise causal convolution along the sequence, with SiLU, as Mamba has it."""

import torch
from torch import Tensor

from ..arguments import check_tensors
from ..compiled import build
from ..operator import Backend, Operator, Shape, register, run
from ..triton_support import triton_backend
from .cpu import cpu_causal_conv1d
from .naive import naive_causal_conv1d

__all__ = ['causal_conv1d']

DIMENSIONS = {'x': 'BLD', 'weight': 'DK', 'bias': 'D'}
EXAMPLE_WIDTH = 4


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor, *, backend: str = 'auto') -> Tensor:
    """Convolves every channel with its own kernel over the present and the past, then SiLU.

    `y[t] = silu(bias + sum_k weight[k] * x[t - K + 1 + k])`, tokens before the first being zero.

    Args:
        x: `(B, L, D)`, any floating dtype.
        weight: `(D, K)`; the last column meets the present token.
        bias: `(D,)`.
        backend: A name of `available_backends()['causal_conv1d']`, or 'auto'.

    Returns:
        `(B, L, D)` in the dtype of `x`.

    Raises:
        ValueError: If shapes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'x': x, 'weight': weight, 'bias': bias}, DIMENSIONS)
    return run('causal_conv1d', backend, x, weight, bias)


def flops(x: Tensor, weight: Tensor, bias: Tensor) -> int:
    """Returns `2 B L D K` for x `(B, L, D)` and weight `(D, K)`."""
    return 2 * x.numel() * weight.shape[1]


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns x as one half of the output of a projection."""
    batch, length, channels, _ = shape
    x = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., :channels]
    weight, bias = torch.randn(channels, EXAMPLE_WIDTH), torch.randn(channels)
    return {'x': x, 'weight': weight.to(dtype), 'bias': bias.to(dtype)}


register(
    Operator(
        causal_conv1d,
        backends={
            'cpu': Backend(cpu_causal_conv1d, build.why_not),
            'triton': triton_backend('causal_conv1d'),
            'naive': Backend(naive_causal_conv1d),
        },
        exportable=naive_causal_conv1d,
        example=example,
        cost=flops,
    )
)
