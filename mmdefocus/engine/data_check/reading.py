"""Reads what the datasets of a config hold, as their classes would, but without images."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature

from mmengine.config import Config
from mmengine.registry import DATASETS

from ...datasets.by_name import listed
from ...datasets.coco_contents import coco_contents
from ...datasets.coco_file import read_coco_table
from ...datasets.config_parts import declared_classes, leaves
from ...datasets.contents import Contents
from ...datasets.dataset_class import dataset_class, scope_of
from ...datasets.folder_contents import folder_contents, list_contents
from ...utils.config_keys import nearest
from ...utils.errors import InputError
from ...utils.files import is_local
from .built import built_contents, can_build

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass
class Part:
    """A dataset of a loader, one that wraps no other.

    Attributes:
        where: The keys that lead to it in the config.
        kind: Name of its class.
        by_name: Whether the class numbers labels in the order of `classes`.
        names: Names of its classes by label, as its `metainfo` has them; None if not known.
        contents: What it holds; None where its class alone can tell.
    """

    where: str
    kind: str
    by_name: bool
    names: tuple[str, ...] | None
    contents: Contents | None


def read_loader(cfg: Config, loader: str, known: dict[str, Part]) -> list[Part]:
    """Reads the datasets of a loader; `known` keeps what was read, for other loaders.

    Raises:
        InputError: Names the file or folder, and what is wrong with it.
    """
    parts = []
    for dataset in leaves(cfg[loader]['dataset']):
        key = repr({name: value for name, value in dataset.items() if name != 'pipeline'})
        if key not in known:
            known[key] = _read(cfg, dataset, f'{loader}.dataset')
        parts.append(known[key])
    return parts


def _read(cfg: Config, dataset: Mapping, where: str) -> Part:
    kind = dataset_class(cfg, dataset)
    if kind is None:
        with DATASETS.switch_scope_and_registry(scope_of(cfg, dataset)) as registry:
            valid = [*registry.module_dict, *DATASETS.module_dict]
        name = str(dataset.get('type'))
        raise InputError(f'{where}: type {name!r} is not registered{nearest(name, valid)}')
    if unknown := sorted(dataset.keys() - (known := _arguments(kind))):
        hint = nearest(unknown[0], known)
        raise InputError(f'{where}: {kind.__name__} has no argument {unknown[0]!r}{hint}')
    try:
        names = declared_classes(dataset) or (getattr(kind, 'METAINFO', None) or {}).get('classes')
        contents: Contents | None = None
        if _is_coco(kind):
            contents = _read_coco(dataset, names)
        elif _is_folders(kind):
            contents = _read_folders(kind, dataset, names)
        elif can_build(kind):
            contents = built_contents(dataset, scope_of(cfg, dataset))
        if contents is not None:
            names = names or contents.labels
            _check_files(contents)
            if dataset.get('indices') is not None and (_is_coco(kind) or _is_folders(kind)):
                contents.notes['selection of images by `indices`, not counted'] += 1
    except InputError as error:
        raise InputError(f'{where} ({kind.__name__}): {error}') from error
    names = tuple(names) if names else None
    return Part(where, kind.__name__, _goes_by_name(kind), names, contents)


def _arguments(kind: type) -> set[str]:
    """Returns the arguments of a class and of those that it is derived from."""
    known = {'type', '_scope_'}
    for base in kind.__mro__:
        known.update(signature(vars(base).get('__init__', object.__init__)).parameters)
    return known - {'self', 'args', 'kwargs'}


def _is_coco(kind: type) -> bool:
    """Tells whether a class reads COCO files as mmdet's does, itself or one derived from it."""
    makers = [base.__module__ for base in kind.__mro__ if 'load_data_list' in vars(base)]
    return bool(makers) and makers[0] in ('mmdet.datasets.coco', 'mmdefocus.datasets.coco')


def _is_folders(kind: type) -> bool:
    """Tells whether a class reads folders of images as mmpretrain's `CustomDataset` does."""
    makers = [base.__module__ for base in kind.__mro__ if 'load_data_list' in vars(base)]
    return bool(makers) and makers[0] == 'mmpretrain.datasets.custom'


def _goes_by_name(kind: type) -> bool:
    """Tells whether a class numbers labels in the order of `classes`."""
    return any(base.__module__.startswith('mmdefocus.') for base in kind.__mro__)


def _joined(dataset: Mapping, path: str) -> str:
    """Returns a path of a dataset behind its `data_root`."""
    root = dataset.get('data_root') or ''
    return os.path.join(root, path) if path else root


def _read_coco(dataset: Mapping, names: tuple[str, ...] | None) -> Contents:
    prefix = dataset.get('data_prefix') or {}
    if not isinstance(prefix, Mapping) or 'img' not in prefix:
        raise InputError(f"data_prefix: expected dict(img='folder'), got {prefix!r}")
    path = _joined(dataset, dataset.get('ann_file') or '')
    table = read_coco_table(path, dataset.get('backend_args'))
    used = {} if dataset.get('test_mode') else dataset.get('filter_cfg') or {}
    return coco_contents(
        path,
        table,
        names or (),
        _joined(dataset, prefix['img']),
        min_size=used.get('min_size', 0),
        needs_objects=used.get('filter_empty_gt', False),
    )


def _read_folders(kind: type, dataset: Mapping, names: tuple[str, ...] | None) -> Contents | None:
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    if isinstance(prefix, Mapping):
        prefix = prefix.get('img_path', '')
    folder, lines = _joined(dataset, prefix), dataset.get('ann_file')
    if not dataset.get('with_label', True) or not is_local(folder):
        return None
    if (
        dataset.get('split')
        and not lines
        and os.path.isfile(_joined(dataset, f'meta/{prefix}.txt'))
    ):
        lines = f'meta/{prefix}.txt'  # as mmpretrain's ImageNet looks for it
    if not os.path.isdir(folder):
        raise InputError(f'{folder}: no such folder')
    if lines:
        return list_contents(_joined(dataset, lines), folder, names or ())
    suffixes = dataset.get('extensions') or _default_suffixes(kind)
    if _goes_by_name(kind):
        return folder_contents(folder, suffixes, names)
    contents = folder_contents(folder, suffixes)
    if kind.__name__ == 'ImageNet' and not declared_classes(dataset):
        _check_wordnet_ids(folder, contents.labels)
    if names and len(names) != len(contents.labels):
        raise InputError(
            f'{folder}: {len(contents.labels)} folders for {len(names)} classes; '
            "where a class has no image, use type 'FoldersByName'"
        )
    misplaced = [name for name in contents.labels if name in (names or ())]
    if names and any(names[contents.labels.index(name)] != name for name in misplaced):
        raise InputError(
            f'{folder}: {kind.__name__} numbers the folders {listed(contents.labels)}, but names '
            f"them {listed(names)}; use type 'FoldersByName'"
        )
    return contents


def _check_wordnet_ids(folder: str, folders: Sequence[str]) -> None:
    """Checks the names of folders where the names of the classes are those of ImageNet's ids."""
    other = [name for name in folders if not re.fullmatch(r'n\d{8}', name)]
    if other:
        raise InputError(
            f'{folder}: folder {listed(other)} is no WordNet id such as n01440764, by the order of '
            "which ImageNet's classes are named; rename it, or use type 'FoldersByName'"
        )


def _default_suffixes(kind: type) -> tuple[str, ...]:
    for base in kind.__mro__:
        suffixes = getattr(base, 'IMG_EXTENSIONS', None)
        if suffixes:
            return tuple(suffixes)
    return tuple(signature(kind).parameters['extensions'].default)


def _files_in(folder: str) -> frozenset[str]:
    if not os.path.isdir(folder):
        return frozenset()
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if not entry.is_dir())


def _check_files(contents: Contents) -> None:
    """Looks for the image files, folder by folder.

    Raises:
        InputError: Names the first that is not there, and how many there are.
    """
    present: dict[str, frozenset[str]] = {}
    absent = []
    for path, _ in contents.images:
        folder, name = os.path.split(path)
        if folder not in present:
            present[folder] = _files_in(folder)
        if name not in present[folder] and is_local(path):
            absent.append(path)
    if absent:
        raise InputError(
            f'{contents.source}: {len(absent)} of {len(contents.images)} images are not there, '
            f'the first is {absent[0]}'
        )
