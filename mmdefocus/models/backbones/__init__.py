"""Causal backbones, one family a file."""

from .defocus_mamba import DefocusMamba
from .defocus_retnet import DefocusRetNet
from .defocus_vit import DefocusViT

__all__ = ['DefocusMamba', 'DefocusRetNet', 'DefocusViT']
