"""The rotary embedding in plain torch, differentiated by autograd; the reference."""

import torch
from torch import Tensor

from ..numerics import wide_dtype


def naive_apply_rotary(x: Tensor, freqs: Tensor, positions: Tensor) -> Tensor:
    """See `apply_rotary`."""
    dtype = wide_dtype(x.dtype)
    angles = positions.to(dtype).unsqueeze(-1) * freqs.to(dtype).unsqueeze(-2)
    wide = x.to(dtype)
    turned = wide * angles.cos() + rotate_every_two(wide) * angles.sin()
    return turned.to(x.dtype)


def rotate_every_two(x: Tensor) -> Tensor:
    """Maps every channel pair (x1, x2) of `(..., N)`, N even, to (-x2, x1)."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
