"""Heads for MMPretrain's image classifier."""

from .defocus_cls_head import DefocusClsHead
from .pooled_cls_heads import AverageClsHead, ClsAndAverageClsHead
from .shuffled_aux_cls_head import ShuffledAuxClsHead

__all__ = ['AverageClsHead', 'ClsAndAverageClsHead', 'DefocusClsHead', 'ShuffledAuxClsHead']
