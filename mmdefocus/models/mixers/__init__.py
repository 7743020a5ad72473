"""Sequence mixers: `(B, L, C)` in and out, causal along L unless the docstring says otherwise."""

from .attention import AttentionMixer
from .bidirectional_mamba import BidirectionalMambaMixer
from .mamba import MambaMixer
from .mamba2 import Mamba2Mixer
from .reference import reference_mamba_mixer
from .retention import RetentionMixer

__all__ = [
    'AttentionMixer',
    'BidirectionalMambaMixer',
    'Mamba2Mixer',
    'MambaMixer',
    'RetentionMixer',
    'reference_mamba_mixer',
]
