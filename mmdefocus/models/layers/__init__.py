"""Parts that the backbones of all families share."""

from .bandpass import LearnableDecay, LearnableRotary, rotary_frequencies
from .drop_path import DropPath
from .norm import LN2d
from .patch_embed import PatchEmbed
from .token_order import RasterOrder, SectionOrder, TokenOrder

__all__ = [
    'DropPath',
    'LN2d',
    'LearnableDecay',
    'LearnableRotary',
    'PatchEmbed',
    'RasterOrder',
    'SectionOrder',
    'TokenOrder',
    'rotary_frequencies',
]
