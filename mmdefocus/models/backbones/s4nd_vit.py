"""S4ND-ViT, a ViT with convolutions of state spaces in place of attention (arXiv 2210.06583)."""

from typing import ClassVar

from mmdefocus.registry import MODELS

from ..mixers import S4NDMixer
from .arch import VIT_SIZES
from .image_backbone import ImageBackbone


@MODELS.register_module()
class S4NDViT(ImageBackbone):
    """The blocks of ViT with `S4NDMixer` in place of attention; no CLS token, no positions.

    The peer S4ND-ViT-B in Table 1 (88.8M parameters) is 'base'. The released one convolves the
    patches as one sequence with 64 states; here the image has two dimensions with 32 states each,
    which are as many parameters. The poles are diagonal (S4D), where those released have a term of
    low rank as well.

    `decay` is 'learnable' and `rope` 'none', and no other; all arguments but `arch` are those of
    `ImageBackbone`. `delta_scale` divides the steps of the state spaces.

    Args:
        arch: 'tiny', 'small', 'large' (ours), 'base' (Table 1), or a dict: embed_dims, depth,
            feedforward_channels, state_size=32, kernels=2, band_percent=100.
    """

    mixer = S4NDMixer
    archs: ClassVar = {
        name: {
            'embed_dims': size['embed_dims'],
            'depth': size['depth'],
            'feedforward_channels': 4 * size['embed_dims'],
        }
        for name, size in VIT_SIZES.items()
    }
    arch_defaults: ClassVar = {'state_size': 32, 'kernels': 2, 'band_percent': 100}
    has_cls_token = False
