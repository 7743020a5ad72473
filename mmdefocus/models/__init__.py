"""Layers, mixers, backbones, necks and heads.

Backbones and necks need MMEngine only; the classification head is MMPretrain's and is registered
where MMPretrain is installed.
"""

from importlib.util import find_spec

from .backbones import DefocusMamba
from .layers import LN2d
from .necks import SimpleFPN

__all__ = ['DefocusMamba', 'LN2d', 'SimpleFPN']

if find_spec('mmpretrain') is not None:
    from .heads import DefocusClsHead

    __all__ += ['DefocusClsHead']
