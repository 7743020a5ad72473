"""Causal backbones, one family a file, and a bidirectional one to compare with."""

from .bidirectional_mamba import BidirectionalMamba
from .defocus_mamba import DefocusMamba
from .defocus_retnet import DefocusRetNet
from .defocus_vit import DefocusViT

__all__ = ['BidirectionalMamba', 'DefocusMamba', 'DefocusRetNet', 'DefocusViT']
