"""Sequence mixers: `(B, L, C)` in and out, causal along L unless the docstring says otherwise."""

from .attention import AttentionMixer
from .bidirectional_mamba import BidirectionalMambaMixer
from .mamba import MambaMixer
from .reference import reference_mamba_mixer
from .retention import RetentionMixer

__all__ = [
    'AttentionMixer',
    'BidirectionalMambaMixer',
    'MambaMixer',
    'RetentionMixer',
    'reference_mamba_mixer',
]
