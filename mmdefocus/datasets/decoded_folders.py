"""Folders of small images that stay in memory."""

from typing import Any

from ..registry import DATASETS
from .folders import FoldersByName
from .transforms import LoadImage


@DATASETS.register_module()
class DecodedFolders(FoldersByName):
    """`FoldersByName` that decodes every image once, when it is made.

    A sample has `img`, uint8 `(H, W, 3)` in BGR, and its shapes as `LoadImage` gives them, so that
    the pipeline begins without a loader. The images should be small, as those of CIFAR-10, which
    take 0.2 GB. Arguments are those of `FoldersByName`.

    Raises:
        InputError: If an image cannot be decoded. Names the file.
    """

    def full_init(self) -> None:
        """Finds the images and decodes them."""
        if self._fully_initialized:
            return
        super().full_init()
        load = LoadImage()
        paths = [self.get_path(index) for index in range(len(self))]
        self._images = {path: load.transform({'img_path': path})['img'] for path in paths}

    def get_path(self, index: int) -> str:
        """Returns the file of a sample."""
        return super().get_data_info(index)['img_path']

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Returns path, label and pixels of a sample; the pixels are a copy, free to be changed."""
        info = super().get_data_info(idx)
        image = self._images[info['img_path']].copy()
        return {**info, 'img': image, 'img_shape': image.shape[:2], 'ori_shape': image.shape[:2]}
