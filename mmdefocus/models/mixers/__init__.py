"""Sequence mixers: `mixer(tokens)` with `(B, L, C)` in and out, causal in L."""

from .mamba import MambaMixer

__all__ = ['MambaMixer']
