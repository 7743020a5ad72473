"""Sequence mixers: `mixer(tokens)` with `(B, L, C)` in and out, causal in L by default."""

from .attention import AttentionMixer
from .mamba import MambaMixer
from .retention import RetentionMixer

__all__ = ['AttentionMixer', 'MambaMixer', 'RetentionMixer']
