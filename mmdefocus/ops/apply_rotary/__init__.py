"""Rotary position embedding with one frequency per channel (Eq. 9 of the paper)."""

import torch
from torch import Tensor

from ..arguments import check_dense, check_dtype
from ..operator import Backend, Operator, Shape, no_flops, register, run
from ..triton_support import triton_backend
from .naive import naive_apply_rotary

__all__ = ['apply_rotary']

EXAMPLE_HEADS = 2


def apply_rotary(x: Tensor, freqs: Tensor, positions: Tensor, *, backend: str = 'auto') -> Tensor:
    """Turns channel i at position p by the angle `p * freqs[i]`.

    Returns `x * cos(p f) + rotate_every_two(x) * sin(p f)`, where a pair of channels (x1, x2)
    becomes (-x2, x1). The two channels of a pair have a frequency each, so this is a rotation only
    where the two agree; the released weights need exactly this form.

    Args:
        x: `(..., L, N)`, N even, any floating dtype.
        freqs: `(N,)`, or `(..., N)` with leading dimensions that broadcast to those of `x` (heads,
            say), in radians per position.
        positions: `(L,)`, any real dtype; they get a gradient from the naive backend alone. Angles
            are computed in float32 at least: bfloat16 cannot count beyond 256.
        backend: A name of `available_backends()['apply_rotary']`, or 'auto'.

    Returns:
        `(..., L, N)` in the dtype of `x`.

    Raises:
        ValueError: If N is odd, `freqs` or `positions` do not fit `x`, or the backend cannot run.
    """
    _check(x, freqs, positions)
    return run('apply_rotary', backend, x, freqs, positions)


def _check(x: Tensor, freqs: Tensor, positions: Tensor) -> None:
    for name, tensor in (('x', x), ('freqs', freqs), ('positions', positions)):
        check_dense(name, tensor)
        if tensor.device != x.device:
            raise ValueError(f'{name}: expected the device of x, {x.device}, got {tensor.device}')
    check_dtype('x', x)
    check_dtype('freqs', freqs)
    if positions.is_complex():
        raise ValueError(f'positions: expected real numbers, got {positions.dtype}')
    shape = tuple(x.shape)
    if x.dim() < 2 or x.shape[-1] % 2 or x.shape[-1] < 1:
        raise ValueError(
            f'x: expected (..., L, N) with N even, to form pairs, and >= 1, got {shape}'
        )
    if freqs.dim() < 1 or freqs.shape[-1] != x.shape[-1]:
        raise ValueError(
            f'freqs: expected one frequency per channel, {x.shape[-1]} as in x {shape}, '
            f'got shape {tuple(freqs.shape)}'
        )
    leading = zip(reversed(freqs.shape[:-1]), reversed(x.shape[:-2]), strict=False)
    if freqs.dim() >= x.dim() or any(of_freqs not in (1, of_x) for of_freqs, of_x in leading):
        raise ValueError(
            f'freqs: expected leading dimensions that broadcast to {shape[:-2]} of x {shape}, '
            f'got shape {tuple(freqs.shape)}'
        )
    if positions.shape != x.shape[-2:-1]:
        raise ValueError(
            f'positions: expected shape ({x.shape[-2]},) as in x {shape}, '
            f'got {tuple(positions.shape)}'
        )


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns queries of two heads, which lie token by token, and their frequencies."""
    width = max(2, shape.channels // EXAMPLE_HEADS // 2 * 2)
    x = torch.randn(shape.batch, shape.length, EXAMPLE_HEADS, width, dtype=dtype).transpose(1, 2)
    freqs = torch.rand(EXAMPLE_HEADS, width, dtype=dtype)
    return {'x': x, 'freqs': freqs, 'positions': torch.arange(shape.length)}


register(
    Operator(
        apply_rotary,
        backends={
            'triton': triton_backend('apply_rotary'),
            'naive': Backend(naive_apply_rotary),
        },
        exportable=naive_apply_rotary,
        example=example,
        cost=no_flops,
    )
)
