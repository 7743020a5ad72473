"""Pairs in a CSV or JSON file, with the images in a folder."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from ...registry import DATASETS
from ...utils.errors import InputError
from .broken import BrokenSamples


@DATASETS.register_module()
class ImageTextPairs(BaseDataset):
    """Images with captions, labels or both, out of a list.

    Args:
        ann_file: A `.csv` file with the columns `image`, `caption` and `label`, or a `.json` file
            with a list of objects that have these keys. Images are paths in `data_root`; captions
            or labels, numbers of classes, may be absent.
        data_root: Folder of the images and of `ann_file`.
        pipeline: Transforms; they get `img_path`, `caption` and `gt_label`.
        metainfo: As in MMEngine.
        max_broken: How many broken samples may be left out, see `BrokenSamples`.
        test_mode: As in MMEngine; a broken sample of a test is an error.
        lazy_init: As in MMEngine.

    Raises:
        InputError: If the file cannot be read, or an image is outside of the folder.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping | None = None,
        max_broken: int = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.broken = BrokenSamples(0 if test_mode else max_broken)
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> list[dict]:
        """Returns the rows of the list as MMEngine has them.

        Raises:
            InputError: Names the file, the row and what was expected.
        """
        root, rows = Path(self.data_root or '.').resolve(), read_rows(Path(self.ann_file))
        return [_sample(root, row, f'{self.ann_file}, row {n}') for n, row in enumerate(rows, 1)]

    def __getitem__(self, index: int) -> dict:
        if not self._fully_initialized:
            self.full_init()
        return self.broken.first_whole(self.prepare_data, index, len(self))


def read_rows(path: Path) -> list[dict]:
    """Returns the rows of a CSV file, or the objects of a JSON file.

    Raises:
        InputError: If there is no such file, or it is neither of the two.
    """
    if path.suffix not in ('.csv', '.json'):
        raise InputError(f'{path}: expected a name that ends in .csv or .json')
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    with path.open(newline='', encoding='utf-8') as file:
        try:
            rows = list(csv.DictReader(file)) if path.suffix == '.csv' else json.load(file)
        except (ValueError, csv.Error) as error:
            raise InputError(f'{path}: cannot be read: {error}') from error
    if not rows or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f'{path}: expected a list of objects with "image" and "caption"')
    return rows


def _sample(root: Path, row: Mapping, where: str) -> dict:
    name, caption, label = (row.get(key) for key in ('image', 'caption', 'label'))
    if not name:
        raise InputError(f'{where}: no image; expected a path in the column "image"')
    path = (root / str(name)).resolve()
    if not path.is_relative_to(root):
        raise InputError(f'{where}: image {name!r} is outside of {root}; expected one within')
    if caption is not None and not str(caption).strip():
        raise InputError(f'{where}: empty caption; expected some text')
    sample: dict = {'img_path': str(path)}
    if caption is not None:
        sample['caption'] = str(caption)
    if label not in (None, ''):
        if not str(label).isdecimal():
            raise InputError(f'{where}: expected a label of 0 or more, got {label!r}')
        sample['gt_label'] = int(label)
    return sample
