"""What mmdet and mmpretrain do not have for data."""

from . import transforms

__all__ = ['transforms']
