"""Transforms of a data pipeline; those of mmdet are registered where it is installed."""

from importlib.util import find_spec

from .load_image import LoadImage
from .pairs import CaptionFromLabel, DecodeImage, PackPair, ResizeToSquare, TokenizeCaption
from .write_on_clutter import WriteOnClutter

__all__ = [
    'CaptionFromLabel',
    'DecodeImage',
    'LoadImage',
    'PackPair',
    'ResizeToSquare',
    'TokenizeCaption',
    'WriteOnClutter',
]

if find_spec('mmdet') is not None:
    from .resize import ResizeToPixels

    __all__ += ['ResizeToPixels']
