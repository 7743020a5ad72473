"""Resizes images of any shape."""

import mmcv
from mmdet.datasets.transforms import Resize

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeToPixels(Resize):
    """mmdet's `Resize` that leaves a thin image a height and a width of at least a pixel.

    Arguments are those of `Resize`.
    """

    def _resize_img(self, results: dict) -> None:
        height, width = results['img'].shape[:2]
        size = mmcv.rescale_size((width, height), results['scale'])
        if not self.keep_ratio or min(size) > 0:
            super()._resize_img(results)
            return
        size = (max(1, size[0]), max(1, size[1]))
        image = mmcv.imresize(
            results['img'], size, interpolation=self.interpolation, backend=self.backend
        )
        results['img'] = image
        results['img_shape'] = image.shape[:2]
        results['scale_factor'] = (size[0] / width, size[1] / height)
        results['keep_ratio'] = self.keep_ratio
