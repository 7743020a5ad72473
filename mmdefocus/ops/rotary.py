"""Rotary position embedding with one frequency per channel (Eq. 9 of the paper)."""

import torch
from torch import Tensor


def rotate_every_two(x: Tensor) -> Tensor:
    """Maps every channel pair (x1, x2) of `(..., N)`, N even, to (-x2, x1)."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)


def apply_rotary(x: Tensor, freqs: Tensor, positions: Tensor) -> Tensor:
    """Turns channel i at position p by the angle `p * freqs[i]`.

    Returns `x * cos(p f) + rotate_every_two(x) * sin(p f)`. The two channels of a pair have a
    frequency each, so this is a rotation only where the two agree; the released weights need
    exactly this form.

    Args:
        x: `(..., L, N)`, N even, any floating dtype.
        freqs: `(N,)`, or `(..., N)` with leading dimensions that broadcast against those of `x`
            (heads, say), in radians per position.
        positions: `(L,)`, any dtype. Angles are computed in float32 at least: bfloat16 cannot
            count beyond 256.

    Returns:
        `(..., L, N)` in the dtype of `x`.

    Raises:
        ValueError: If N is odd, or `freqs` or `positions` do not fit `x`.
    """
    if x.shape[-1] % 2:
        raise ValueError(f'x: the last dimension must be even to form pairs, got {tuple(x.shape)}')
    if freqs.shape[-1] != x.shape[-1]:
        raise ValueError(
            f'freqs: expected one frequency per channel, {x.shape[-1]} as in x '
            f'{tuple(x.shape)}, got shape {tuple(freqs.shape)}'
        )
    if positions.shape != x.shape[-2:-1]:
        raise ValueError(
            f'positions: expected shape ({x.shape[-2]},) as in x {tuple(x.shape)}, '
            f'got {tuple(positions.shape)}'
        )
    dtype = torch.promote_types(x.dtype, torch.float32)
    angles = positions.to(dtype).unsqueeze(-1) * freqs.to(dtype).unsqueeze(-2)
    wide = x.to(dtype)
    turned = wide * angles.cos() + rotate_every_two(wide) * angles.sin()
    return turned.to(x.dtype)
