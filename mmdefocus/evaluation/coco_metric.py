"""mmdet's COCO metric with labels by name."""

from typing import Any

from mmdet.evaluation import CocoMetric

from ..datasets.coco import CocoFile
from ..registry import METRICS


@METRICS.register_module()
class CocoMetricByName(CocoMetric):
    """mmdet's `CocoMetric` that takes label i for the i-th class of the dataset.

    mmdet takes it for the i-th category of the file. Arguments are those of `CocoMetric`.

    Args:
        ann_file: File in COCO format with the truth; by default that of the dataset.

    Raises:
        InputError: If the file is no COCO file (see `read_coco`) or lacks a class.
    """

    def __init__(self, ann_file: str | None = None, **kwargs: Any) -> None:
        super().__init__(ann_file=None, **kwargs)
        if ann_file is not None:
            self._coco_api = CocoFile(ann_file)
