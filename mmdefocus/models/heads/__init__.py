"""Heads for MMPretrain's image classifier."""

from .defocus_cls_head import DefocusClsHead

__all__ = ['DefocusClsHead']
