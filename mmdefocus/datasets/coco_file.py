"""Reads an annotation file in COCO format and refuses one that would be misread."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, Literal

import msgspec
import numpy as np
from mmengine import fileio

from ..utils.errors import InputError
from ..utils.memory import garbage_collection_paused
from .by_name import check_classes, require_names

Id = int | str
POSITIVE = msgspec.Meta(gt=0)
Pixels = Annotated[int, POSITIVE] | Annotated[float, POSITIVE]


class Image(msgspec.Struct):
    """What a dataset needs of an image; sizes in pixels."""

    id: Id
    file_name: str
    width: Pixels
    height: Pixels


class Annotation(msgspec.Struct):
    """What a dataset needs of an object; left, top, width, height in pixels.

    Files without `area` or `iscrowd` are read: the area is that of the box, and no box is a crowd.
    """

    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    area: float | msgspec.UnsetType = msgspec.UNSET
    iscrowd: Literal[0, 1] | bool | msgspec.UnsetType = msgspec.UNSET
    ignore: object = False


class Category(msgspec.Struct):
    """A class of objects."""

    id: Id
    name: str


class CocoTable(msgspec.Struct):
    """An annotation file without the fields that nothing is counted by, such as outlines."""

    images: Annotated[list[Image], msgspec.Meta(min_length=1)]
    categories: Annotated[list[Category], msgspec.Meta(min_length=1)]
    annotations: list[Annotation] = []

    def boxes(self) -> np.ndarray:
        """Returns left, top, width and height of each object, `(N, 4)` float64, in pixels."""
        numbers = chain.from_iterable([annotation.bbox for annotation in self.annotations])
        return np.fromiter(numbers, float, 4 * len(self.annotations)).reshape(-1, 4)

    def areas(self) -> np.ndarray:
        """Returns the area of each object, NaN where the file has none; `(N,)`, square pixels."""
        areas = [np.nan if a.area is msgspec.UNSET else a.area for a in self.annotations]
        return np.array(areas, float)


def read_coco_table(path: str, backend_args: Mapping | None = None) -> CocoTable:
    """Returns what a file in COCO format holds, checked, without its outlines.

    Args:
        path: The file, of any backend of MMEngine.
        backend_args: See `mmengine.fileio.get`.

    Raises:
        InputError: Names the file, the first image or annotation at fault, the field, and what
            was expected there.
    """
    return _checked_table(path, _bytes_of(path, backend_args))


def read_coco(path: str) -> dict:
    """Returns all that a file in COCO format holds, checked, with optional fields filled in.

    An annotation without `area` gets that of its box, one without `iscrowd` is no crowd.

    Raises:
        InputError: See `read_coco_table`.
    """
    data = _bytes_of(path)
    _checked_table(path, data)
    with garbage_collection_paused():
        content = json.loads(data)
    for annotation in content.setdefault('annotations', []):
        annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
        annotation.setdefault('iscrowd', 0)
    return content


def category_ids(path: str, categories: Mapping[str, Id], classes: Sequence[str]) -> list[Id]:
    """Returns the id of the category of each class, in the order of the classes.

    Args:
        path: The file, for messages.
        categories: The ids of its categories by name.
        classes: Names that are wanted.

    Raises:
        InputError: If the file lacks a class, or `classes` is no sequence of names.
    """
    classes = check_classes(path, classes)
    require_names(path, 'category', classes, categories)
    return [categories[name] for name in classes]


def _bytes_of(path: str, backend_args: Mapping | None = None) -> bytes:
    try:
        return fileio.get(path, backend_args=backend_args)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f'{path}: no such annotation file') from error


def _checked_table(path: str, data: bytes) -> CocoTable:
    with garbage_collection_paused():
        table = _decoded(path, data)
    _check_unique(path, 'categories: name', [category.name for category in table.categories])
    for kind in ('categories', 'images', 'annotations'):
        _check_unique(path, f'{kind}: id', [entry.id for entry in getattr(table, kind)])
    known = {category.id for category in table.categories}
    for annotation in table.annotations:
        if annotation.category_id not in known:
            raise InputError(
                f'{path}: annotation {annotation.id!r}: category_id '
                f'{annotation.category_id!r} is not in `categories`; mend the file'
            )
    broken = ~np.isfinite(table.boxes()).all(1) | np.isinf(table.areas())
    if broken.any():
        first = table.annotations[int(broken.argmax())]
        raise InputError(
            f'{path}: annotation {first.id!r}: expected finite numbers, got bbox '
            f'{list(first.bbox)} (and {broken.sum() - 1} more such faults); mend the file'
        )
    return table


def _decoded(path: str, data: bytes) -> CocoTable:
    try:
        try:
            return msgspec.json.decode(data, type=CocoTable)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # Python also reads other encodings, and NaN.
            return msgspec.convert(json.loads(data), CocoTable)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(' - at `$')
        where = f' at `{place.removeprefix(".")}, counted from 0' if place else ''
        reason = reason[0].lower() + reason[1:]
        raise InputError(f'{path}: COCO format: {reason}{where}; mend the file') from error
    except ValueError as error:
        raise InputError(f'{path}: expected JSON in COCO format: {error}') from error


def _check_unique(path: str, what: str, values: Sequence[Id]) -> None:
    if len(set(values)) == len(values):
        return
    ((repeated, _),) = Counter(values).most_common(1)
    raise InputError(f'{path}: {what} {repeated!r} more than once; mend the file')
