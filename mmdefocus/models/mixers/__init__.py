"""Sequence mixers: `(B, L, C)` in and out, causal along L unless the docstring says otherwise."""

from .attention import AttentionMixer
from .bidirectional_mamba import BidirectionalMambaMixer
from .directed_mamba import DirectedMambaMixer
from .headed_mamba2 import HeadedMamba2Mixer
from .mamba import MambaMixer
from .mamba2 import Mamba2Mixer
from .reference import reference_mamba_mixer
from .retention import RetentionMixer
from .rwkv import ChannelMix, SpatialMix
from .s4nd import S4NDMixer

__all__ = [
    'AttentionMixer',
    'BidirectionalMambaMixer',
    'ChannelMix',
    'DirectedMambaMixer',
    'HeadedMamba2Mixer',
    'Mamba2Mixer',
    'MambaMixer',
    'RetentionMixer',
    'S4NDMixer',
    'SpatialMix',
    'reference_mamba_mixer',
]
