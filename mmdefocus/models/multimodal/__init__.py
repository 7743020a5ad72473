"""Models of pictures and text. They compute with open_clip, which they import when built."""

from .defocus_clip import DefocusCLIP
from .open_clip_towers import OpenCLIPText, OpenCLIPViT
from .sequence_text import SequenceText

__all__ = ['DefocusCLIP', 'OpenCLIPText', 'OpenCLIPViT', 'SequenceText']
