"""Pictures of predictions, of a bounded size."""

from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.structures import BaseDataElement

from ..datasets.image_files import WRITTEN_SUFFIXES
from ..utils.files import fitting_name

SMALLEST_PICTURE = 224  # pixels of the shorter side; the label would cover a smaller one
LARGEST_PICTURE = 4096  # pixels of the longer side


def picture_name(name: str) -> str:
    """Returns the name of a picture of an image: its own, if such a file can be written."""
    written = Path(name).suffix.lower() in WRITTEN_SUFFIXES
    return fitting_name(name if written else f'{name}.png')


def resized(image: np.ndarray, smallest: int = 1) -> np.ndarray:
    """Resizes an image `(H, W, 3)` so that a picture of it takes bounded memory.

    Args:
        image: The image.
        smallest: The shorter side is enlarged to so many pixels, unless the longer one would have
            more than 4096, which comes first.
    """
    height, width = image.shape[:2]
    factor = max(1.0, smallest / min(height, width))
    factor = min(factor, LARGEST_PICTURE / max(height, width))
    if factor == 1.0:
        return image
    return mmcv.imresize(image, (max(1, round(width * factor)), max(1, round(height * factor))))


def draw_class(
    image: np.ndarray,
    sample: BaseDataElement,
    classes: Sequence[str],
    path: Path,
    with_truth: bool = False,
) -> None:
    """Writes an image with its predicted class.

    Args:
        image: BGR, `(H, W, 3)`, uint8.
        sample: Of MMPretrain, with `pred_label`.
        classes: Names of the classes, or nothing.
        path: The file to write.
        with_truth: Whether to write the true class, too.
    """
    from mmpretrain.visualization import UniversalVisualizer

    UniversalVisualizer().visualize_cls(
        mmcv.bgr2rgb(resized(image, SMALLEST_PICTURE)),
        sample,
        classes=classes or None,
        draw_gt=with_truth,
        out_file=str(path),
    )


def draw_boxes(
    image: np.ndarray,
    sample: BaseDataElement,
    classes: Sequence[str],
    path: Path,
    threshold: float,
    with_truth: bool = False,
) -> None:
    """Writes an image with its predicted boxes.

    Args:
        image: BGR, `(H, W, 3)`, uint8.
        sample: Of MMDetection, with `pred_instances` in pixels of the image.
        classes: Names of the classes, or nothing.
        path: The file to write.
        threshold: Boxes of a lower score are left out.
        with_truth: Whether to draw the true boxes, too, on the left.
    """
    from mmdet.visualization import DetLocalVisualizer

    picture = resized(image)
    if picture.shape != image.shape:
        sample = sample.clone()
        factor = [picture.shape[i] / image.shape[i] for i in (1, 0)] * 2
        for instances in ('pred_instances', 'gt_instances'):
            if instances in sample:
                scaled = sample.get(instances).clone()
                scaled.bboxes = scaled.bboxes * scaled.bboxes.new_tensor(factor)
                setattr(sample, instances, scaled)
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = {'classes': classes or None, 'palette': 'random'}
    visualizer.add_datasample(
        path.stem,
        mmcv.bgr2rgb(picture),
        sample,
        draw_gt=with_truth,
        pred_score_thr=threshold,
        out_file=str(path),
    )
