"""RMS normalisation over the channels, the norm of the De-focus Mamba block."""

import torch
from torch import Tensor

from ..arguments import check_eps, check_tensors
from ..compiled import build
from ..operator import Backend, Operator, Shape, no_flops, register, run
from .cpu import cpu_rms_norm
from .naive import naive_rms_norm

__all__ = ['rms_norm']

DIMENSIONS = {'x': 'BLC', 'weight': 'C'}


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-5, *, backend: str = 'auto') -> Tensor:
    """Divides every token by the root mean square of its channels: `x / rms(x) * weight`.

    Computed in float32 at least.

    Args:
        x: `(B, L, C)`, any floating dtype.
        weight: `(C,)`.
        eps: Added to the mean square.
        backend: A name of `available_backends()['rms_norm']`, or 'auto'.

    Returns:
        `(B, L, C)` in the dtype of `x`.

    Raises:
        ValueError: If shapes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'x': x, 'weight': weight}, DIMENSIONS)
    check_eps(eps)
    return run('rms_norm', backend, x, weight, eps)


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns tokens outside the mixer, which have half as many channels, and their weight."""
    channels = max(1, shape.channels // 2)
    x = torch.randn(shape.batch, shape.length, channels, dtype=dtype)
    return {'x': x, 'weight': torch.ones(channels, dtype=dtype)}


register(
    Operator(
        rms_norm,
        backends={
            'cpu': Backend(cpu_rms_norm, build.why_not),
            'naive': Backend(naive_rms_norm),
        },
        exportable=naive_rms_norm,
        example=example,
        cost=no_flops,
    )
)
