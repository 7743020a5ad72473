"""The projection of an image to a grid of patch embeddings."""

import torch.nn.functional as F
from torch import Tensor, nn

from .norm import LN2d


class PatchEmbed(nn.Module):
    """Projects non-overlapping square patches with one convolution.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of a token, C.
        patch_size: Side of a patch in pixels.
        pad_to: Images are padded with zeros at the right and at the bottom to a multiple of this
            many pixels, itself a multiple of `patch_size`.
        norm: Whether the embeddings are normalised.
    """

    def __init__(
        self, in_channels: int, embed_dims: int, patch_size: int, pad_to: int, norm: bool = False
    ) -> None:
        super().__init__()
        self.pad_to = pad_to
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, stride=patch_size)
        self.norm = LN2d(embed_dims) if norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Turns `(B, in_channels, H, W)` into `(B, C, H', W')`."""
        height, width = images.shape[-2:]
        right, bottom = -width % self.pad_to, -height % self.pad_to
        if right or bottom:
            images = F.pad(images, (0, right, 0, bottom))
        return self.norm(self.projection(images))
