"""Transforms of a data pipeline."""

from .load_image import LoadImage

__all__ = ['LoadImage']
