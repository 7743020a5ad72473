"""Causal backbones, one family a file."""

from .defocus_mamba import DefocusMamba

__all__ = ['DefocusMamba']
