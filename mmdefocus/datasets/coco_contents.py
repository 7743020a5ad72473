"""Counts what mmdet makes of an annotation file in COCO format."""

import os
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from .coco_file import CocoTable, category_ids
from .contents import Contents


def coco_contents(
    path: str,
    table: CocoTable,
    classes: Sequence[str],
    folder: str,
    min_size: int = 0,
    needs_objects: bool = False,
) -> Contents:
    """Counts the images and objects that a dataset of mmdet uses.

    Args:
        path: The file, for messages.
        table: What it holds.
        classes: Names of the classes that are wanted.
        folder: Where the images are.
        min_size: Images with a shorter side, in pixels, are left out.
        needs_objects: Whether images without an annotation of the classes are left out.

    Raises:
        InputError: If the file lacks a class.
    """
    number_of = {category.name: category.id for category in table.categories}
    wanted = category_ids(path, number_of, classes)
    order = tuple(name for name in number_of if name in classes)
    ids = frozenset(image.id for image in table.images)
    contents = Contents(path, tuple(classes), order, ids=ids)

    rows = {image.id: row for row, image in enumerate(table.images)}
    sizes = np.array([(image.width, image.height) for image in table.images])
    label_of = {number: label for label, number in enumerate(wanted)}
    labels = np.array([label_of.get(a.category_id, -1) for a in table.annotations], int)
    images = np.array([rows.get(a.image_id, -1) for a in table.annotations], int)
    used = _use_boxes(table, contents, labels, images, sizes)

    has_object = np.zeros(len(rows), bool)
    has_object[images[(labels >= 0) & (images >= 0)]] = True
    large = sizes.min(1) >= min_size
    contents.left_out[f'images with a side of less than {min_size} pixels'] += int((~large).sum())
    if needs_objects:
        contents.left_out['images without an object'] += int((large & ~has_object).sum())
    kept = large & (has_object | (not needs_objects))
    contents.left_out = +contents.left_out
    contents.images = [
        (os.path.join(folder, image.file_name), (image.width, image.height))
        for image, keep in zip(table.images, kept.tolist(), strict=True)
        if keep
    ]
    numbers = np.bincount(labels[used & kept[images]], minlength=len(classes)).tolist()
    contents.objects = +Counter(dict(zip(classes, numbers, strict=True)))
    return contents


def _use_boxes(
    table: CocoTable,
    contents: Contents,
    labels: np.ndarray,
    images: np.ndarray,
    sizes: np.ndarray,
) -> np.ndarray:
    """Returns which boxes are used, `(N,)` bool, and counts the others by the reason."""
    entries = table.annotations
    left = np.ones(len(entries), bool)

    def take(which: np.ndarray) -> np.ndarray:
        taken = left & which
        left[taken] = False
        return taken

    name_of = {category.id: category.name for category in table.categories}
    foreign = Counter(entries[i].category_id for i in np.flatnonzero(take(labels < 0)))
    for number, boxes in foreign.items():
        contents.left_out[f'boxes of {name_of[number]!r}, which is not in classes'] += boxes

    x, y, width, height = table.boxes().T
    area = table.areas()
    image_width, image_height = sizes[images].T
    inside_x = np.minimum(x + width, image_width) - np.maximum(x, 0)
    inside_y = np.minimum(y + height, image_height) - np.maximum(y, 0)
    ignored = np.array([bool(a.ignore) for a in entries], bool)
    empty = (np.where(np.isnan(area), width * height, area) <= 0) | (width < 1) | (height < 1)
    for reason, which in {
        'boxes of images that are not in the file': images < 0,
        'boxes marked `ignore`': ignored,
        'boxes of no area or of less than a pixel': empty,
        'boxes outside their image': (inside_x <= 0) | (inside_y <= 0),
    }.items():
        contents.left_out[reason] += int(take(which).sum())
    crowds = np.array([a.iscrowd is not msgspec.UNSET and a.iscrowd for a in entries], bool)
    lacking = sum(a.iscrowd is msgspec.UNSET for a in entries)
    contents.notes = +Counter(
        {
            'crowd regions, which are ignored': int(take(crowds).sum()),
            'boxes without `area`, which is computed': int(np.isnan(area).sum()),
            'boxes without `iscrowd`, which is taken for 0': lacking,
        }
    )
    return left
