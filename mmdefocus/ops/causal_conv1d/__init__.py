"""Depthwise causal convolution along the sequence, with SiLU, as Mamba has it."""

from torch import Tensor

from .. import dispatch, gpu, native
from .cpu import cpu_causal_conv1d
from .naive import naive_causal_conv1d

__all__ = ['causal_conv1d']

dispatch.register(
    'causal_conv1d',
    {
        'cpu': dispatch.Backend(cpu_causal_conv1d, native.why_not),
        'triton': dispatch.Backend(
            gpu.lazy(f'{__name__}.triton', 'triton_causal_conv1d'), gpu.why_not, auto_on='cuda'
        ),
        'naive': dispatch.Backend(naive_causal_conv1d, dispatch.always),
    },
)


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
    if x.dim() != 3:
        raise ValueError(f'x: expected (B, L, D), got shape {tuple(x.shape)}')
    channels = x.shape[2]
    if weight.dim() != 2 or weight.shape[0] != channels or bias.shape != (channels,):
        raise ValueError(
            f'weight, bias: expected ({channels}, K) and ({channels},) for x {tuple(x.shape)}, '
            f'got {tuple(weight.shape)} and {tuple(bias.shape)}'
        )
    for name, tensor in (('weight', weight), ('bias', bias)):
        if tensor.device != x.device:
            raise ValueError(f'{name}: is on {tensor.device}, but x is on {x.device}')
    return dispatch.select('causal_conv1d', backend, x.device)(x, weight, bias)
