"""Reading and converting checkpoints."""

from .official import Conversion, convert
from .safe_checkpoint import read_weights

__all__ = ['Conversion', 'convert', 'read_weights']
