"""mmdet's COCO dataset with labels by name."""

from collections.abc import Sequence

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from ..registry import DATASETS
from .by_name import check_classes
from .coco_file import category_ids, read_coco


class CocoFile(COCO):
    """An annotation file whose categories come in the order that they are asked for in.

    Args:
        annotation_file: Path of the JSON file.

    Raises:
        InputError: See `read_coco`.
    """

    def __init__(self, annotation_file: str) -> None:
        super().__init__()
        self.path = annotation_file
        self.dataset = read_coco(annotation_file)
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def get_cat_ids(
        self, cat_names: Sequence[str] = (), sup_names: Sequence = (), cat_ids: Sequence = ()
    ) -> list[int | str]:
        """Returns the ids of the categories: with `cat_names`, that of each name, in their order.

        Raises:
            InputError: If the file lacks a name.
        """
        if len(cat_names) == 0:
            return super().get_cat_ids(cat_names, sup_names, cat_ids)
        by_name = {category['name']: category['id'] for category in self.dataset['categories']}
        return category_ids(self.path, by_name, cat_names)


@DATASETS.register_module()
class CocoByName(CocoDataset):
    """mmdet's `CocoDataset` in which label i is the i-th name of `classes`.

    mmdet numbers the labels in the order of the categories in the file and names them in the
    order of `classes`. Arguments are those of `CocoDataset`.

    Raises:
        InputError: If the file is no COCO file (see `read_coco`) or lacks a class, or `classes`
            is a text.
    """

    COCOAPI = CocoFile

    def load_data_list(self) -> list[dict]:
        """Returns the images with their boxes, see mmdet."""
        check_classes(self.ann_file, self.metainfo['classes'])
        return super().load_data_list()
