"""Image backbones, one family a file: causal ones, and others to compare with."""

from .adventurer import Adventurer
from .bidirectional_mamba import BidirectionalMamba
from .defocus_mamba import DefocusMamba
from .defocus_mamba2 import DefocusMamba2
from .defocus_retnet import DefocusRetNet
from .defocus_vit import DefocusViT
from .image_backbone import ImageBackbone
from .mamba_nd import MambaND
from .outputs import ClsAndTokens, ClsPerStrip
from .s4nd_vit import S4NDViT
from .vision_rwkv import VisionRWKV

__all__ = [
    'Adventurer',
    'BidirectionalMamba',
    'ClsAndTokens',
    'ClsPerStrip',
    'DefocusMamba',
    'DefocusMamba2',
    'DefocusRetNet',
    'DefocusViT',
    'ImageBackbone',
    'MambaND',
    'S4NDViT',
    'VisionRWKV',
]
