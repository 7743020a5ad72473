"""Finds mistakes in a config before anything is built: options, parts, data and checkpoints."""

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ...checkpoints.checks import check_file, is_pretrained
from ...utils.config_keys import config_name, nearest
from ...utils.errors import InputError
from ...utils.files import is_local

TRAIN_KEYS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
TEST_KEYS = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')

# MMEngine and mmdet read such a file as a program; JSON, TXT and CSV files are data.
PROGRAM_SUFFIXES = ('.pkl', '.pickle', '.p', '.yaml', '.yml', '.np', '.npy')
EVALUATORS = {'val_dataloader': 'val_evaluator', 'test_dataloader': 'test_evaluator'}
WRITTEN = ('out_file_path', 'outfile_prefix', 'proposals_file')  # by metrics

# Keys that MMEngine reads from a config and that are no arguments of its runner.
EXTRA_KEYS = (
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
)


def check_options(cfg: Config, options: Mapping[str, object]) -> None:
    """Checks that each `--cfg-options` key begins with a key of the config or of MMEngine.

    Raises:
        InputError: Names the key and the nearest valid ones.
    """
    valid = {*cfg, *inspect.signature(Runner).parameters, *EXTRA_KEYS}
    for option in options:
        key = option.partition('.')[0]
        if key not in valid:
            raise InputError(
                f'--cfg-options {option}: the config has no {key!r}{nearest(key, valid)}'
            )


def check_parts(cfg: Config) -> None:
    """Checks that model, loaders and datasets are dicts, and that scope and paths are names.

    Raises:
        InputError: Names the key and what it holds.
    """
    scope, known = cfg.get('default_scope'), {*MODULE2PACKAGE, *MODELS.children, 'mmengine'}
    if scope is not None and scope not in known:
        raise InputError(
            f'{config_name(cfg)}: default_scope {scope!r} is no library of OpenMMLab'
            f'{nearest(str(scope), known)}'
        )
    if cfg.get('model') is not None:
        _expect(cfg, 'model', cfg.model, Mapping, 'a dict')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader) is not None:
            _expect(cfg, loader, cfg[loader], Mapping, 'a dict')
            _check_dataset(cfg, f'{loader}.dataset', cfg[loader].get('dataset'))


def _check_dataset(cfg: Config, where: str, dataset: Mapping) -> None:
    _expect(cfg, where, dataset, Mapping, 'a dict')
    if 'type' not in dataset:
        raise InputError(f'{config_name(cfg)}: {where} has no `type`; it has {", ".join(dataset)}')
    for argument in ('data_root', 'ann_file'):
        _expect(cfg, f'{where}.{argument}', dataset.get(argument) or '', str, 'a path')
    if 'dataset' in dataset:
        _check_dataset(cfg, f'{where}.dataset', dataset['dataset'])
    if 'datasets' in dataset:
        inner = dataset['datasets']
        _expect(cfg, f'{where}.datasets', inner or None, (list, tuple), 'a list of datasets')
        for number, child in enumerate(inner):
            _check_dataset(cfg, f'{where}.datasets.{number}', child)


def _expect(
    cfg: Config, where: str, value: object, kind: type | tuple[type, ...], what: str
) -> None:
    if not isinstance(value, kind):
        raise InputError(f'{config_name(cfg)}: {where}: expected {what}, got {value!r}')


def check_data(cfg: Config, loaders: Iterable[str]) -> None:
    """Checks that the data of some loaders is data and exists, and says how to make it if not.

    The config states the command as `data_preparation`. Without one, the datasets are left to
    themselves: some download their data.

    Raises:
        InputError: Names the path that does not exist or holds nothing.
    """
    loaders = tuple(loaders)
    check_no_programs(cfg, loaders)
    how = cfg.get('data_preparation')
    for loader in loaders if how else ():
        for dataset in _datasets(cfg.get(loader)):
            for argument, path in _data_paths(dataset):
                empty = path.is_dir() and not any(path.iterdir())
                if path.exists() and not empty:
                    continue
                found = 'is an empty folder' if empty else 'does not exist'
                raise InputError(
                    f'{loader}.dataset ({dataset["type"]}): {argument} {str(path)!r} {found}; '
                    f'to make it: {how}'
                )


def check_no_programs(cfg: Config, loaders: Iterable[str]) -> None:
    """Checks that no dataset and no metric reads a format that can run code: pickle or YAML.

    Raises:
        InputError: Names the argument and the file.
    """
    for loader in loaders:
        evaluator = EVALUATORS.get(loader, '')
        for part, node in (
            (f'{loader}.dataset', (cfg.get(loader) or {}).get('dataset')),
            (evaluator, cfg.get(evaluator)),
        ):
            for owner in dicts(node):
                for argument, path in _programs(owner):
                    raise InputError(
                        f'{part} ({owner.get("type")}): {argument} {path!r} would be executed '
                        'while it is read; convert the file to JSON'
                    )


def _programs(node: Mapping) -> Iterator[tuple[str, str]]:
    """Yields arguments of a dict that name files of such a format, one or several in a list."""
    for argument, value in node.items():
        for text in value if isinstance(value, (list, tuple)) else (value,):
            is_program = isinstance(text, str) and text.lower().endswith(PROGRAM_SUFFIXES)
            if is_program and argument not in WRITTEN:
                yield str(argument), text


def check_load_from(cfg: Config) -> None:
    """Checks the checkpoint that a run starts from; one at an address is fetched.

    Raises:
        InputError: See `check_file`.
    """
    path = cfg.get('load_from')
    if path:
        check_file(path, resume=bool(cfg.get('resume')))


def check_pretrained(cfg: Config) -> None:
    """Checks the checkpoints that parts of the model start from (`init_cfg` of `Pretrained`).

    Raises:
        InputError: See `check_file`.
    """
    for node in dicts(cfg.get('model')):
        if is_pretrained(node):
            check_file(node['checkpoint'], node.get('prefix'))


def dicts(node: object) -> Iterator[Mapping]:
    """Yields all dicts in a config, however deep."""
    if isinstance(node, Mapping):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from dicts(child)


def _datasets(loader: Mapping | None) -> Iterator[Mapping]:
    """Yields the datasets of a loader, those inside wrappers too."""
    for node in dicts((loader or {}).get('dataset')):
        if 'type' in node and {'data_root', 'ann_file', 'data_prefix'} & set(node):
            yield node


def _data_paths(dataset: Mapping) -> Iterator[tuple[str, Path]]:
    """Yields the local paths that a dataset reads, with the arguments that name them."""
    root = dataset.get('data_root') or ''
    prefix = dataset.get('data_prefix') or {}
    prefixes = prefix if isinstance(prefix, Mapping) else {'': prefix}
    values = [('data_root', root), ('ann_file', os.path.join(root, dataset.get('ann_file') or ''))]
    values += [('data_prefix', os.path.join(root, value or '')) for value in prefixes.values()]
    for argument, value in values:
        if value and is_local(value):
            yield argument, Path(value)
