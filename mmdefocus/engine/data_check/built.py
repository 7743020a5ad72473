"""Counts what datasets hold that only their own classes can read: VOC, LVIS, CIFAR and others."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import msgspec
from mmengine import fileio
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ...datasets.by_name import closest, listed, require_names
from ...datasets.coco_file import Category
from ...datasets.contents import Contents
from ...utils.errors import InputError, one_line


class _Categories(msgspec.Struct):
    categories: list[Category]


def can_build(kind: type) -> bool:
    """Tells whether a dataset of mmdet or mmpretrain is to be built for counting it.

    Not with several processes: those that download wait for each other.
    """
    alone = int(os.environ.get('WORLD_SIZE', '1')) == 1
    libraries = {base.__module__.partition('.')[0] for base in kind.__mro__}
    return alone and issubclass(kind, BaseDataset) and bool(libraries & {'mmdet', 'mmpretrain'})


def built_contents(dataset: Mapping, scope: str | None) -> Contents:
    """Builds a dataset without its pipeline and counts its images and objects.

    Args:
        dataset: Its config.
        scope: The default scope of the config.

    Raises:
        InputError: If labels are not those of the names in `classes`, or a package is missing.
    """
    with DATASETS.switch_scope_and_registry(scope) as registry:
        try:
            built = registry.build({**dataset, 'pipeline': []})
        except ImportError as error:
            raise InputError(one_line(error)) from error
    classes = tuple(built.metainfo.get('classes') or ())
    source = getattr(built, 'ann_file', None) or dataset.get('data_root') or type(built).__name__
    contents = Contents(str(source), classes, classes)
    infos = [built.get_data_info(number) for number in range(len(built))]
    _check_categories(built, classes)
    for info in infos:
        if 'img_path' in info:
            size = info.get('width'), info.get('height')
            contents.images.append((info['img_path'], None if None in size else size))
    for label in (label for info in infos for label in _labels(info)):
        contents.objects[classes[label] if label < len(classes) else str(label)] += 1
    contents.in_memory = len(infos) - len(contents.images)
    _count_foreign(infos, classes, contents)
    return contents


def _labels(info: Mapping) -> Sequence[int]:
    """Returns the labels of an image, of a dataset of mmdet or of mmpretrain."""
    if 'instances' in info:
        return [box['bbox_label'] for box in info['instances'] if not box.get('ignore_flag')]
    label = info.get('gt_label', ())
    return label if isinstance(label, Sequence) else [int(label)]


def _check_categories(built: BaseDataset, classes: tuple[str, ...]) -> None:
    """Refuses a dataset that numbers labels by the categories of a file and names them otherwise.

    Raises:
        InputError: Names the file, its order, and that of the names.
    """
    if not getattr(built, 'cat_ids', None) or not str(built.ann_file).endswith('.json'):
        return
    content = msgspec.json.decode(fileio.get(built.ann_file), type=_Categories)
    name_of = {category.id: category.name for category in content.categories}
    require_names(built.ann_file, 'category', classes, name_of.values())
    order = tuple(name_of[number] for number in built.cat_ids)
    if order != classes:
        raise InputError(
            f'labels are numbered in the order of {built.ann_file}, {listed(order)}, and named in '
            f'that of classes, {listed(classes)}; write the names in `classes` in that order'
        )


def _count_foreign(infos: Sequence[Mapping], classes: tuple[str, ...], contents: Contents) -> None:
    """Counts the objects in XML files whose names are not in `classes`, which mmdet passes over.

    Raises:
        InputError: If a class has no object and looks like one of those names.
    """
    names: Counter[str] = Counter()
    for path in (info['xml_path'] for info in infos if 'xml_path' in info):
        root = ElementTree.parse(path).getroot()
        names.update(node.findtext('name', '') for node in root.findall('object'))
    foreign = {name: count for name, count in names.items() if name not in classes}
    absent = [name for name in classes if not names[name]]
    if foreign and (near := closest(absent, list(foreign))):
        raise InputError(
            f'{contents.source}: no object is named {listed(absent)}{near}; write the names in '
            '`classes` of the config as they are in the files'
        )
    for name, count in foreign.items():
        contents.left_out[f'boxes of {name!r}, which is not in classes'] += count
