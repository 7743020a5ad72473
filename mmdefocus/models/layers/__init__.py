"""Parts that the backbones of all families share."""

from .bandpass import (
    LearnableDecay,
    LearnablePairRotary,
    LearnableRotary,
    head_decay_rates,
    pair_frequencies,
    rotary_frequencies,
)
from .drop_path import DropPath
from .mlp import MLP
from .norm import LN2d, RMSNorm
from .patch_embed import PatchEmbed
from .token_order import RasterOrder, SectionOrder, TokenOrder

__all__ = [
    'MLP',
    'DropPath',
    'LN2d',
    'LearnableDecay',
    'LearnablePairRotary',
    'LearnableRotary',
    'PatchEmbed',
    'RMSNorm',
    'RasterOrder',
    'SectionOrder',
    'TokenOrder',
    'head_decay_rates',
    'pair_frequencies',
    'rotary_frequencies',
]
