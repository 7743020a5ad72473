"""De-focus Mamba (Eq. 9)."""

from typing import ClassVar

from torch import nn

from mmdefocus.registry import MODELS

from ..layers import Mixer, RMSNorm
from ..mixers import MambaMixer
from .image_backbone import ImageBackbone


@MODELS.register_module()
class DefocusMamba(ImageBackbone):
    """Mamba with rotary embedding on B and C, group RMS normalisation and no position embedding.

    The paper's causal Mamba baseline is this class with `rope='none'`. All arguments but `arch`
    are those of `ImageBackbone`. The decay, 'data_dependent' by default, is that of `MambaMixer`;
    the released detector has `rope_scale=20.0` and `delta_scale=4.57` at 1024 pixels from 224.

    Args:
        arch: 'tiny' (ours), 'small', 'base', 'large' (Table 1), or a dict: embed_dims, depth,
            intermediate_size, state_size=16, conv_kernel=4, time_step_rank=48,
            group_norm_size=64.
    """

    mixer: ClassVar[type[Mixer]] = MambaMixer
    archs = {
        'tiny': {'embed_dims': 192, 'depth': 24, 'intermediate_size': 384},
        'small': {'embed_dims': 384, 'depth': 24, 'intermediate_size': 768},
        'base': {'embed_dims': 768, 'depth': 24, 'intermediate_size': 1536},
        'large': {'embed_dims': 1024, 'depth': 48, 'intermediate_size': 2048},
    }
    arch_defaults = {
        'state_size': 16,
        'conv_kernel': 4,
        'time_step_rank': 48,
        'group_norm_size': 64,
    }

    @staticmethod
    def block_norm(embed_dims: int) -> nn.Module:
        """Returns the norm before a mixer."""
        return RMSNorm(embed_dims, eps=1e-5)
