"""mmpretrain's folders of images with labels by name."""

from collections.abc import Sequence
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.custom import find_folders, get_samples

from ..registry import DATASETS
from ..utils.errors import InputError
from .folder_contents import class_of_folder
from .image_files import IMAGE_SUFFIXES


@DATASETS.register_module()
class FoldersByName(CustomDataset):
    """mmpretrain's `CustomDataset` in which a folder gets the number of its name in `classes`.

    mmpretrain numbers the folders that are there, so that one that is missing in a split shifts
    the labels of all that follow. A class without a folder has no image here. Arguments are those
    of `CustomDataset`; `classes`, directly or in `metainfo`, are the names of the folders, by
    default all in the order of the alphabet.

    Raises:
        InputError: If a folder is not in `classes`, there is no image, or `classes` is a text.
    """

    def __init__(
        self, *args: Any, extensions: Sequence[str] = IMAGE_SUFFIXES, **kwargs: Any
    ) -> None:
        super().__init__(*args, extensions=extensions, **kwargs)

    def _find_samples(self) -> list:
        if not self.with_label:
            return super()._find_samples()
        folders, _ = find_folders(self.img_prefix)
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        number = class_of_folder(self.img_prefix, folders, self.CLASSES)
        samples, _ = get_samples(self.img_prefix, number, self.is_valid_file)
        if not samples:
            raise InputError(
                f'{self.img_prefix}: no image in the folders of the classes; expected '
                f'{", ".join(sorted(self.extensions))}'
            )
        self.folder_to_idx = number
        return samples
