"""Layers, mixers, backbones, necks, heads, detectors, and CLIP.

Backbones and necks need MMEngine only; the classification head is MMPretrain's, the detector
MMDetection's, and they are registered where those are installed.
"""

from importlib.util import find_spec

from . import backbones
from .backbones import *
from .encoder import SequenceEncoder
from .layers import LN2d
from .losses import SigmoidContrastiveLoss, SoftmaxContrastiveLoss
from .multimodal import DefocusCLIP, OpenCLIPText, OpenCLIPViT, SequenceText
from .necks import SimpleFPN
from .stream import ImageStream

__all__ = [
    *backbones.__all__,
    'DefocusCLIP',
    'ImageStream',
    'LN2d',
    'OpenCLIPText',
    'OpenCLIPViT',
    'SequenceEncoder',
    'SequenceText',
    'SigmoidContrastiveLoss',
    'SimpleFPN',
    'SoftmaxContrastiveLoss',
]

if find_spec('mmpretrain') is not None:
    from .heads import DefocusClsHead

    __all__ += ['DefocusClsHead']

if find_spec('mmdet') is not None:
    from .detectors import DefocusDINO, DefocusDINOHead

    __all__ += ['DefocusDINO', 'DefocusDINOHead']
