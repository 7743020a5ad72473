"""Vision-RWKV, linear attention in both directions (arXiv 2403.02308)."""

from typing import ClassVar

from torch import nn

from mmdefocus.registry import MODELS

from ..layers import Block, Filter
from ..mixers import ChannelMix, SpatialMix
from .arch import VIT_SIZES
from .image_backbone import ImageBackbone


@MODELS.register_module()
class VisionRWKV(ImageBackbone):
    """Vision-RWKV: quad-directional shift, bidirectional WKV, and a channel mix of squared ReLU.

    'small', 'base' and 'large' are the peers of Table 1 (23.8M, 93.7M and 334.9M parameters, the
    last at 384² from 192² with a hidden layer of 3,072 channels in the classifier). As released,
    there is a position embedding and no CLS token, each branch is normalised at its end and scaled
    by a parameter for each channel, from 1 in 'small' and from 1e-5 in larger models, and 'large'
    normalises WKV and the middle of the channel mix, too. The patches are normalised once before
    their positions are added; in the released code it is after.

    `decay` is 'learnable' and `rope` 'none', and no other; all arguments but `arch` are those of
    `ImageBackbone`. `rope_scale` and `delta_scale` do nothing, see `SpatialMix`.

    Args:
        arch: 'tiny' (ours), 'small', 'base', 'large', or a dict: embed_dims, depth,
            feedforward_channels, key_norm=0 (or 1), scale_decades=0 (n for a scale from 10^-n).
    """

    mixer = SpatialMix
    archs: ClassVar = {
        name: {
            **{key: size[key] for key in ('embed_dims', 'depth')},
            'feedforward_channels': 4 * size['embed_dims'],
            'key_norm': int(name == 'large'),
            'scale_decades': 5 if name in ('base', 'large') else 0,
        }
        for name, size in VIT_SIZES.items()
    }
    arch_defaults: ClassVar = {'key_norm': 0, 'scale_decades': 0}
    has_cls_token = False
    has_pos_embed = True
    has_patch_norm = True

    @classmethod
    def make_block(
        cls, embed_dims: int, filter: Filter, feedforward_channels: int | None = None, **sizes: int
    ) -> Block:
        """Returns a block whose branches have their norms at their ends."""
        block = super().make_block(embed_dims, filter, **sizes)
        block.mlp_norm = nn.Identity()
        block.mlp = ChannelMix(embed_dims, feedforward_channels or 4 * embed_dims, **sizes)
        return block

    @staticmethod
    def block_norm(embed_dims: int) -> nn.Module:
        """Returns what is before a branch: nothing."""
        return nn.Identity()
