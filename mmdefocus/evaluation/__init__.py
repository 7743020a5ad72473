"""Metrics that mmdet and mmpretrain do not have; registered where those are installed."""

from importlib.util import find_spec

from .image_text_recall import ImageTextRecall
from .zero_shot import ZeroShotAccuracy, ZeroShotHook

__all__ = ['ImageTextRecall', 'ZeroShotAccuracy', 'ZeroShotHook']

if find_spec('mmdet') is not None:
    from .coco_metric import CocoMetricByName

    __all__ += ['CocoMetricByName']
