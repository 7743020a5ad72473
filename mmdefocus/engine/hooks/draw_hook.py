"""Draws what a test predicts."""

import os
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH as Batch
from mmengine.runner import Runner

from ...datasets.transforms import LoadImage
from ...evaluation.drawing import draw_boxes, draw_class, picture_name
from ...registry import HOOKS


@HOOKS.register_module()
class DrawHook(Hook):
    """Writes a picture of each tested image, with prediction and truth, under a name of its own.

    The name is the path of the image from the folder that holds all images on, with `__` in place
    of each `/`: images of equal names in several folders do not replace each other.

    Args:
        out_dir: Where to write.
        score_threshold: Boxes of a lower score are not drawn.
    """

    def __init__(self, out_dir: str, score_threshold: float = 0.3) -> None:
        self.out_dir = Path(out_dir)
        self.score_threshold = score_threshold
        self.root = ''
        self.load = LoadImage()

    def before_test(self, runner: Runner) -> None:
        """Finds the folder that holds all images."""
        dataset = runner.test_dataloader.dataset
        folders = {
            os.path.dirname(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))
        }
        self.root = os.path.commonpath(folders) if folders else ''
        self.out_dir.mkdir(parents=True, exist_ok=True)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: list | None = None
    ) -> None:
        """Draws the images of a batch."""
        classes = tuple((runner.test_loop.dataloader.dataset.metainfo or {}).get('classes') or ())
        for sample in outputs or ():
            image = self.load({'img_path': sample.img_path})['img']
            name = os.path.relpath(sample.img_path, self.root or None).replace(os.sep, '__')
            path = self.out_dir / picture_name(name)
            if 'pred_instances' in sample:
                draw_boxes(image, sample.cpu(), classes, path, self.score_threshold, True)
            else:
                draw_class(image, sample.cpu(), classes, path, True)
