"""Depthwise causal convolution along the sequence, with SiLU, as Mamba has it."""

import torch
from torch import Tensor

from ..arguments import check_tensors, state_or_zeros
from ..compiled import build
from ..operator import Backend, Operator, Shape, register, run
from ..triton_support import triton_backend
from .cpu import cpu_causal_conv1d
from .naive import naive_causal_conv1d

__all__ = ['causal_conv1d', 'causal_conv1d_with_state']

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


def causal_conv1d_with_state(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    initial_state: Tensor | None = None,
    *,
    backend: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """Runs `causal_conv1d` after other tokens, and returns the last K - 1 of all as well.

    See `selective_scan_with_state` for sequences in pieces.

    Args:
        x: `(B, L, D)`, any floating dtype.
        weight: `(D, K)`; the last column meets the present token.
        bias: `(D,)`.
        initial_state: The K - 1 tokens before the first, `(B, K - 1, D)`, computed with in float32
            (float64 for float64 x); None are zeros.
        backend: A name of `available_backends()['causal_conv1d']`, or 'auto'.

    Returns:
        y, `(B, L, D)` in the dtype of `x`, and the final state, `(B, K - 1, D)` in float32 (float64
        for float64 x).

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'x': x, 'weight': weight, 'bias': bias}, DIMENSIONS)
    past = weight.shape[1] - 1
    state = state_or_zeros(initial_state, (x.shape[0], past, x.shape[2]), x)
    seen = torch.cat((state, x.to(state.dtype)), dim=1)
    y = run('causal_conv1d', backend, seen, weight, bias)[:, past:].to(x.dtype)
    return y, seen[:, x.shape[1] :].clone()  # a view would keep all tokens


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
        with_state=causal_conv1d_with_state,
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
