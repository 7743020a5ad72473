"""Adventurer, a causal model that is shown the average of the image first (arXiv 2410.07599)."""

from mmdefocus.registry import MODELS

from ..layers import SwiGLU
from ..mixers import HeadedMamba2Mixer
from .defocus_mamba2 import DefocusMamba2

SIZES = {'tiny': (256, 12), 'small': (512, 12), 'base': (768, 12), 'large': (1024, 24)}


@MODELS.register_module()
class Adventurer(DefocusMamba2):
    """Mamba-2 mixers of tokens that their average heads, and SwiGLU networks, in turn.

    Adventurer itself is this class with `rope='none'`; its base has 99M parameters. It is not
    causal: the average shows every token all of the image. Arguments are those of `DefocusMamba2`;
    an architecture has `feedforward_channels` as well. The released code has an RMS norm at the
    end; for the direction of its layers, see `HeadedMamba2Mixer`.
    """

    mixer = HeadedMamba2Mixer
    mlp = SwiGLU
    has_pos_embed = True
    archs = {
        name: {
            'embed_dims': width,
            'depth': depth,
            'intermediate_size': 2 * width,
            'feedforward_channels': 5 * width // 2,
        }
        for name, (width, depth) in SIZES.items()
    }
    arch_defaults = {**DefocusMamba2.arch_defaults, 'state_size': 64}
