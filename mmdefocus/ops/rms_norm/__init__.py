"""RMS normalisation over the channels, the norm of the De-focus Mamba block."""

from torch import Tensor

from .. import dispatch, native
from .cpu import cpu_rms_norm
from .naive import naive_rms_norm

__all__ = ['rms_norm']

dispatch.register(
    'rms_norm',
    {
        'cpu': dispatch.Backend(cpu_rms_norm, native.why_not),
        'naive': dispatch.Backend(naive_rms_norm, dispatch.always),
    },
)


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
    if x.dim() != 3:
        raise ValueError(f'x: expected (B, L, C), got shape {tuple(x.shape)}')
    if weight.shape != x.shape[2:]:
        raise ValueError(
            f'weight: expected {tuple(x.shape[2:])} for x {tuple(x.shape)}, '
            f'got {tuple(weight.shape)}'
        )
    if weight.device != x.device:
        raise ValueError(f'weight: is on {weight.device}, but x is on {x.device}')
    return dispatch.select('rms_norm', backend, x.device)(x, weight, eps)
