"""Moves the data of a config to another folder."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from ...utils.errors import InputError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')


def data_options(cfg: Config, root: Path) -> dict[str, str]:
    """Returns the options that move the data of a config from where they are to a folder.

    The folder replaces what the data roots of all loaders have in common, in the evaluators, too.

    Raises:
        InputError: If the config names no data root.
    """
    roots = {key: value for name in LOADERS for key, value in _texts(cfg, name, 'data_root')}
    if not roots:
        raise InputError(f'{cfg.filename}: --data-root: expected a data_root in it, got none')
    common = os.path.commonpath(roots.values())
    truths = {key: value for name in EVALUATORS for key, value in _texts(cfg, name, 'ann_file')}
    inside = {key: value for key, value in truths.items() if Path(value).is_relative_to(common)}
    return {
        key: os.path.normpath(root / os.path.relpath(value, common))
        for key, value in (roots | inside).items()
    }


def _texts(parent: Mapping, key: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Yields the texts called `wanted` within a part of a config, with their dotted keys."""

    def search(node: object, key: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, Mapping):
            for name, child in node.items():
                if name == wanted and isinstance(child, str):
                    yield f'{key}.{name}', child
                else:
                    yield from search(child, f'{key}.{name}')
        elif isinstance(node, list | tuple):
            for index, child in enumerate(node):
                yield from search(child, f'{key}.{index}')

    return search(parent.get(key), key)
