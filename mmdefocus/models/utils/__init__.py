"""Released weights under our names, and back."""

from .class_map import read_class_map, select_classes
from .official import Conversion, convert, revert

__all__ = ['Conversion', 'convert', 'read_class_map', 'revert', 'select_classes']
