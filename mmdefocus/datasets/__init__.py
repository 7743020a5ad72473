"""What mmdet and mmpretrain do not have for data; registered where those are installed."""

from importlib.util import find_spec

from . import transforms
from .pairs import ImageTextPairs, ImageTextShards, ShardSampler

__all__ = ['ImageTextPairs', 'ImageTextShards', 'ShardSampler', 'transforms']

if find_spec('mmdet') is not None:
    from .coco import CocoByName

    __all__ += ['CocoByName']

if find_spec('mmpretrain') is not None:
    from .decoded_folders import DecodedFolders
    from .folders import FoldersByName

    __all__ += ['DecodedFolders', 'FoldersByName']
