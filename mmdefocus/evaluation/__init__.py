"""Metrics that mmdet and mmpretrain do not have; registered where those are installed."""

from importlib.util import find_spec

__all__ = []

if find_spec('mmdet') is not None:
    from .coco_metric import CocoMetricByName

    __all__ += ['CocoMetricByName']
