"""Parts that the models of all families share."""

from .bandpass import (
    DATA_DEPENDENT_FILTER,
    DECAYS,
    LEARNABLE_DECAY,
    LEARNABLE_FILTER,
    Filter,
    LearnableDecay,
    LearnableRotary,
    head_decay_rates,
    pair_frequencies,
    rotary_frequencies,
)
from .block import Block
from .drop_path import DropPath
from .mixer import Mixer
from .mlp import MLP, SwiGLU
from .norm import LN2d, RMSNorm
from .on_grid import GridMixer, OnGrid
from .patch_embed import PatchEmbed
from .token_order import Grid, RasterOrder, SectionOrder, TokenOrder

__all__ = [
    'DATA_DEPENDENT_FILTER',
    'DECAYS',
    'LEARNABLE_DECAY',
    'LEARNABLE_FILTER',
    'MLP',
    'Block',
    'DropPath',
    'Filter',
    'Grid',
    'GridMixer',
    'LN2d',
    'LearnableDecay',
    'LearnableRotary',
    'Mixer',
    'OnGrid',
    'PatchEmbed',
    'RMSNorm',
    'RasterOrder',
    'SectionOrder',
    'SwiGLU',
    'TokenOrder',
    'head_decay_rates',
    'pair_frequencies',
    'rotary_frequencies',
]
