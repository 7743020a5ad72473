"""Transforms of a data pipeline."""

from .load_image import LoadImage
from .write_on_clutter import WriteOnClutter

__all__ = ['LoadImage', 'WriteOnClutter']
