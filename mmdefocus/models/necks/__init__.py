"""Necks: one map in, a pyramid out."""

from .simple_fpn import SimpleFPN

__all__ = ['SimpleFPN']
