"""Arguments that name a config, and the config that they name."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mmengine.config import Config, DictAction

from ...utils.command import some_path, some_text
from ...utils.config_keys import check_keys
from ...utils.errors import InputError, one_line
from .changes import set_launcher, set_work_dir
from .check import check_options, check_parts
from .errors import config_errors, config_fault


class OptionsAction(DictAction):
    """`KEY=VALUE` pairs as MMEngine reads them; another form is an `InputError`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if '=' not in value.lstrip('='):
                raise InputError(f'{option_string}: expected KEY=VALUE, got {value!r}')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            raise InputError(f'{option_string}: {one_line(error)}') from error


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds what names a trained model and where it runs: `add_config`, `checkpoint`, `--device`."""
    add_config(parser)
    parser.add_argument('checkpoint', type=some_text, help='its weights, .pth or .safetensors')
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds `--device`."""
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')


def add_images(parser: argparse.ArgumentParser) -> None:
    """Adds what a tool takes that shows what a model sees in images: `images`, it and `--out`."""
    parser.add_argument('images', type=some_path, help='an image, or a folder of images')
    add_model(parser)
    add_out(parser)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Adds `--out`, the folder that a tool writes."""
    parser.add_argument('--out', type=some_path, required=True, metavar='DIR', help='write here')


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds `config` and `--cfg-options`."""
    parser.add_argument('config', help='config file, of mmdet or of mmpretrain')
    add_config_options(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a tool that trains or tests.

    They are `--work-dir`, `--skip-data-check` and `--launcher`.
    """
    parser.add_argument('--work-dir', type=some_text, help='folder of logs and checkpoints')
    parser.add_argument(
        '--skip-data-check', action='store_true', help='do not read the data before the first step'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what has started the processes',
    )
    # torch.distributed.launch passes one or the other, by its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--cfg-options`, which changes values of a config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        default={},
        metavar='KEY=VALUE',
        help="changes to the config, as in model.backbone.arch=small or key='[a,b]'",
    )


def read_config(path: str, options: Mapping[str, object]) -> Config:
    """Reads a config and applies `--cfg-options`.

    Raises:
        InputError: If the file cannot be read or an option does not fit it.
    """
    if not os.path.isfile(path):
        raise InputError(f'config {path}: no such file')
    try:
        cfg = Config.fromfile(path)
    # A config is a program, which can fail in any way.
    except Exception as error:
        raise InputError(f'config {path}: {config_fault(error)}') from error
    check_options(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(f'--cfg-options: {one_line(error)}') from error
    return cfg


@contextmanager
def config_of(args: argparse.Namespace, *needs: str) -> Iterator[Config]:
    """Gives the config of a command line, with the changes that the command line asks for.

    Args:
        args: With the arguments of `add_config`, and of `add_run_options` where they were added.
        needs: Keys that the config must have.

    Raises:
        InputError: If the config cannot be read or lacks a key, or if a class refuses what the
            config says while something is built or run within.
    """
    cfg = read_config(args.config, args.cfg_options)
    with config_errors(cfg):
        # A new-style config imports what it names when that is first looked at.
        check_keys(cfg, needs)
        check_parts(cfg)
        if 'launcher' in args:
            set_launcher(cfg, args.launcher, args.local_rank)
            set_work_dir(cfg, args.work_dir)
        yield cfg
