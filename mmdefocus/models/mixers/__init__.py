"""Sequence mixers: `mixer(tokens)` with `(B, L, C)` in and out, causal in L unless told."""

from .attention import AttentionMixer
from .bidirectional_mamba import BidirectionalMambaMixer
from .mamba import MambaMixer
from .retention import RetentionMixer

__all__ = [
    'AttentionMixer',
    'BidirectionalMambaMixer',
    'MambaMixer',
    'RetentionMixer',
]
