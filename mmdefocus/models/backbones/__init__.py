"""Image backbones, one family a file: causal ones, and a bidirectional one to compare with."""

from .bidirectional_mamba import BidirectionalMamba
from .defocus_mamba import DefocusMamba
from .defocus_mamba2 import DefocusMamba2
from .defocus_retnet import DefocusRetNet
from .defocus_vit import DefocusViT
from .image_backbone import ClsAndTokens, ClsPerStrip, ImageBackbone

__all__ = [
    'BidirectionalMamba',
    'ClsAndTokens',
    'ClsPerStrip',
    'DefocusMamba',
    'DefocusMamba2',
    'DefocusRetNet',
    'DefocusViT',
    'ImageBackbone',
]
