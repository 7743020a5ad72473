"""De-focus RetNet (Eq. 4 with a learned filter)."""

from mmdefocus.registry import MODELS

from ..mixers import RetentionMixer
from .arch import VIT_SIZES
from .image_backbone import ImageBackbone


@MODELS.register_module()
class DefocusRetNet(ImageBackbone):
    """RetNet with a learned decay per head and learned rotary frequencies, no position embedding.

    RetNet itself is this class with `decay='fixed'` and `rope='fixed'`; with `'none'` for both, the
    retention is linear attention. All arguments but `arch` are those of `ImageBackbone`; `decay`
    is 'learnable' by default, one λ per head, and `rope` has one frequency per head and pair of
    channels.

    The paper names the parameters of its base models, 93.6M for RetNet and 92.7M for De-focus
    RetNet with the auxiliary classifier (Table 1), but not their dimensions. Ours are those of
    ViT in depth, width and heads, for as many filters as there. The retention is RetNet's: values
    twice as wide as keys, 8 C² weights a layer. With RetNet's feed-forward network of 2 C channels
    that would make 86.3M; with 2.45 C, down to a multiple of 8, it makes 92.7M and 93.5M, within
    1 % of both. (One backbone cannot meet both exactly: the paper's second is smaller by 0.9M,
    although it has a classifier of 0.8M more.)

    Args:
        arch: 'tiny', 'small', 'large' (ours), 'base' (Table 1), or a dict: embed_dims, depth,
            num_heads, value_channels, feedforward_channels.
    """

    mixer = RetentionMixer
    archs = {
        name: {
            **size,
            'value_channels': 2 * size['embed_dims'],
            'feedforward_channels': int(2.45 * size['embed_dims']) // 8 * 8,
        }
        for name, size in VIT_SIZES.items()
    }
