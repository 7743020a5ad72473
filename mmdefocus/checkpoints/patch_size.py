"""Weights of a backbone for patches of another size."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

PATCHES = 'patch_embed.projection.weight'


def resize_patches(weights: Mapping[str, Tensor], patch_size: int) -> dict[str, Tensor]:
    """Makes the embedding of patches one for patches of another size.

    A patch of the new size gets the token that it would get if it were first resized (bilinear,
    with averaging where it shrinks) to the old size. Resizing is linear, and so becomes a part of
    the weights.

    Args:
        weights: Names and weights of a model of this project; the projection has
            `(C, in_channels, old, old)`.
        patch_size: Side of the new patches in pixels.

    Raises:
        ValueError: If there is not one embedding of square patches.
    """
    names = [name for name in weights if name.endswith(PATCHES)]
    if len(names) != 1:
        raise ValueError(f'patch size: expected one *{PATCHES}, found {len(names)}')
    old = weights[names[0]]
    side = old.shape[-1]
    if old.ndim != 4 or old.shape[-2] != side:
        raise ValueError(f'patch size: {names[0]}: expected square patches, got {tuple(old.shape)}')
    pixels = torch.eye(patch_size**2).view(-1, 1, patch_size, patch_size)
    resize = F.interpolate(pixels, size=(side, side), mode='bilinear', antialias=True).flatten(1)
    new = old.float().flatten(2) @ resize.T
    shape = (*old.shape[:2], patch_size, patch_size)
    return {**weights, names[0]: new.view(shape).to(old.dtype)}
