"""Moves the data of a config to another folder."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from ...utils.errors import InputError
from .command_line import add_config_options

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')


def data_options(cfg: Config, root: Path) -> dict[str, str]:
    """Returns the options that move the data of a config from where they are to a folder.

    The folder replaces what the data roots of all loaders have in common, in the evaluators, too.

    Raises:
        InputError: If the config names no data root, or absolute and relative ones.
    """
    roots = {key: value for name in LOADERS for key, value in _texts(cfg, name, 'data_root')}
    if not roots:
        raise InputError(f'{cfg.filename}: --data-root: expected a data_root in it, got none')
    try:
        common = os.path.commonpath(roots.values())
    except ValueError as error:
        raise InputError(
            f'{cfg.filename}: --data-root: expected data roots that are all absolute or all '
            f'relative, got {", ".join(sorted(set(roots.values())))}'
        ) from error
    truths = {key: value for name in EVALUATORS for key, value in _texts(cfg, name, 'ann_file')}
    inside = {key: value for key, value in truths.items() if Path(value).is_relative_to(common)}
    return {
        key: os.path.normpath(root / os.path.relpath(value, common))
        for key, value in (roots | inside).items()
    }


def data_arguments(cfg: Config, root: Path) -> list[str]:
    """Returns `data_options` as they follow `--cfg-options`.

    Raises:
        InputError: If there are none, or if `--cfg-options` would read something else than a path,
            as a list where it has a comma.
    """
    parser = ArgumentParser()
    add_config_options(parser)
    options = data_options(cfg, root)
    arguments = [f'{key}={value}' for key, value in options.items()]
    try:
        found = parser.parse_args(['--cfg-options', *arguments]).cfg_options
    except InputError:
        found = None
    if found != options:
        raise InputError(
            f'--data-root: expected a path without spaces, commas, brackets and quotes that is no '
            f'number, got {str(root)!r}; link the folder to another name'
        )
    return arguments


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
