"""De-focus Mamba-2: the bandpass filter on a decay for each token and head."""

from torch import nn

from mmdefocus.registry import MODELS

from ..layers import RMSNorm
from ..mixers import Mamba2Mixer
from .image_backbone import ImageBackbone


@MODELS.register_module()
class DefocusMamba2(ImageBackbone):
    """Mamba-2 (arXiv 2405.21060) with rotary embedding on B and C and no position embedding.

    Mamba-2 itself is this class with `rope='none'`. The paper has no such model; sizes are those of
    `DefocusMamba`, and with 128 states the parameters are, too. All arguments but `arch` are those
    of `ImageBackbone`; the decay, 'data_dependent' by default, is that of `Mamba2Mixer`.

    Args:
        arch: 'tiny', 'small', 'base', 'large', or a dict: embed_dims, depth, intermediate_size,
            state_size=128, head_size=64, conv_kernel=4.
    """

    mixer = Mamba2Mixer
    archs = {
        'tiny': {'embed_dims': 192, 'depth': 24, 'intermediate_size': 384},
        'small': {'embed_dims': 384, 'depth': 24, 'intermediate_size': 768},
        'base': {'embed_dims': 768, 'depth': 24, 'intermediate_size': 1536},
        'large': {'embed_dims': 1024, 'depth': 48, 'intermediate_size': 2048},
    }
    arch_defaults = {'state_size': 128, 'head_size': 64, 'conv_kernel': 4}

    @staticmethod
    def block_norm(embed_dims: int) -> nn.Module:
        """Returns the norm before a mixer."""
        return RMSNorm(embed_dims, eps=1e-5)
