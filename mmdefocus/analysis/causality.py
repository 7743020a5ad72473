"""Whether a backbone reads an image strictly from the first patch to the last, to the bit."""

from typing import cast

import torch
from torch import Tensor, nn

from ..models.layers import RasterOrder
from .focus.layers import measured


def influence(model: nn.Module, images: Tensor) -> Tensor:
    """Tells which patches have an influence on which outputs, by changing each.

    Args:
        model: A backbone with `out_type='featmap'`, of this package or of MMPretrain.
        images: One image, `(1, 3, H, W)`, of whole patches or sections.

    Returns:
        `(L, L)`, bool, in the order of reading, raster in MMPretrain: whether another patch s
        gives token t other bits, at row t and column s.
    """
    patch_size = cast(Tensor, model.get_submodule('patch_embed.projection').weight).shape[-1]
    order = getattr(model, 'order', RasterOrder())
    height, width = (side // patch_size for side in images.shape[-2:])
    number = height * width
    place = torch.arange(number, device=images.device).view(1, 1, height, width)
    patches = order.to_sequence(place).flatten()
    pixels = torch.zeros(number, number, device=images.device, dtype=images.dtype)
    pixels[torch.arange(number), patches] = 1  # image s has a new patch at place s of the sequence
    pixels = pixels.view(number, 1, height, width)
    pixels = pixels.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
    same = images.expand(number, -1, -1, -1).contiguous()  # of a size: roundings depend on it
    with measured(model), torch.no_grad():
        before, after = (order.to_sequence(model(x)[-1]) for x in (same, same + pixels))
    return (before != after).any(-1).mT


def is_causal(model: nn.Module, images: Tensor) -> bool:
    """Tells whether no output has changed before the patch that was changed, see `influence`."""
    return not influence(model, images).triu(1).any()
