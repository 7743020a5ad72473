"""What the train and test tools share: arguments, the config, and the way it is run."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.config.utils import ConfigParsingError
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint
from torch import distributed

from ...utils.errors import InputError, one_line
from ..runner import CheckedRunner
from .check import check_options

# What reading a config, its bases and its custom imports may raise.
CONFIG_FILE_ERRORS = (
    ConfigParsingError,
    ImportError,
    KeyError,
    NameError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)


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
                raise InputError(f'{option_string}: expected KEY=VALUE, found {value!r}')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            raise InputError(f'{option_string}: {one_line(error)}') from error


def make_parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the arguments of every tool that runs a config."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file, of mmdet or of mmpretrain')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what has started the processes',
    )
    # torch.distributed.launch passes one or the other, by its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds the option that changes values of the config."""
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
    except CONFIG_FILE_ERRORS as error:
        raise InputError(f'config {path}: {one_line(error)}') from error
    check_options(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(f'--cfg-options: {one_line(error)}') from error
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """Reads the config of a command and applies `--cfg-options`, `--work-dir` and `--launcher`.

    Raises:
        InputError: See `read_config`.
    """
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    return cfg


def resume(cfg: Config, checkpoint: str) -> None:
    """Sets the config to resume from a checkpoint; 'auto' is the latest of the work directory."""
    cfg.resume = True
    cfg.load_from = find_latest_checkpoint(cfg.work_dir) if checkpoint == 'auto' else checkpoint


def enable_amp(cfg: Config) -> None:
    """Sets the config to train in mixed precision: bfloat16 on a CPU, scaled float16 elsewhere.

    Raises:
        InputError: If the config has an optimizer wrapper of its own kind.
    """
    wrapper = cfg.optim_wrapper
    wrapper_type = wrapper.get('type', 'OptimWrapper')
    if wrapper_type not in ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper'):
        raise InputError(f'--amp: expected optim_wrapper.type OptimWrapper, found {wrapper_type}')
    if get_device() == 'cpu':
        wrapper.type = 'BFloat16OptimWrapper'
        for key in ('loss_scale', 'dtype'):
            wrapper.pop(key, None)
    elif wrapper_type == 'OptimWrapper':
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Sets the config to scale the learning rate with the batch size.

    Raises:
        InputError: If the config does not say which batch size its learning rate is for.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise InputError(
            f'--auto-scale-lr: {cfg.filename} has no auto_scale_lr.base_batch_size; set it to the '
            'total batch size that the learning rate is for'
        )
    cfg.auto_scale_lr.enable = True


def draw_to(cfg: Config, folder: str) -> None:
    """Sets the config to draw each tested image with its predictions into a folder.

    Raises:
        InputError: If the config is neither of mmdet nor of mmpretrain.
    """
    folder = os.path.abspath(folder)  # mmdet takes a relative one as part of the work directory
    hooks = dict(
        mmdet=dict(type='DetVisualizationHook', draw=True, test_out_dir=folder),
        mmpretrain=dict(type='VisualizationHook', enable=True, interval=1, out_dir=folder),
    )
    visualizers = dict(mmdet='DetLocalVisualizer', mmpretrain='UniversalVisualizer')
    scope = cfg.get('default_scope')
    if scope not in hooks:
        raise InputError(f'--show-dir: expected default_scope mmdet or mmpretrain, found {scope!r}')
    cfg.setdefault('default_hooks', {})
    cfg.default_hooks.visualization = hooks[scope]
    cfg.visualizer = dict(cfg.get('visualizer') or {}, type=visualizers[scope])


def build_runner(cfg: Config) -> Runner:
    """Builds the runner of a config, for one process or for many."""
    if cfg.launcher == 'pytorch' and not torch.cuda.is_available():
        _launch_on_cpu(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else CheckedRunner.from_cfg(cfg)


def _launch_on_cpu(cfg: Config) -> None:
    """Joins the processes of torchrun on a CPU, where MMEngine would look for GPUs."""
    if not distributed.is_initialized():
        distributed.init_process_group('gloo')
    wrapper = dict(cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel'))
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)
