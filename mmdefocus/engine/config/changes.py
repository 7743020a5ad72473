"""What a command changes in a config before it is run."""

import os
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device

from ...datasets.config_parts import type_name
from ...utils.errors import InputError
from ...utils.files import is_local
from ..resuming.newest import checkpoint_folders, newest_checkpoint


def set_work_dir(cfg: Config, folder: str | None) -> None:
    """Sets the folder of logs and checkpoints, by default that of the config or its name.

    Raises:
        InputError: If it is on another machine.
    """
    cfg.work_dir = folder or cfg.get('work_dir') or f'./work_dirs/{Path(cfg.filename).stem}'
    if not is_local(cfg.work_dir):
        raise InputError(
            f'--work-dir: expected a folder of this machine, got {cfg.work_dir!r}; copy the '
            'checkpoints when they are written'
        )


def set_launcher(cfg: Config, launcher: str, local_rank: int) -> None:
    """Sets what has started the processes; a rank in the environment precedes `local_rank`."""
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))


def resume(cfg: Config, checkpoint: str) -> None:
    """Sets the config to resume from a checkpoint; 'auto' is the newest of the work directory.

    Without any there, the training begins as the config says, from its `load_from` too.

    Raises:
        InputError: If the work directory has checkpoints and none can be resumed.
    """
    found: str | None = checkpoint
    if checkpoint == 'auto':
        found = newest_checkpoint(checkpoint_folders(cfg, cfg.work_dir))
    cfg.resume = found is not None
    if cfg.resume:
        cfg.load_from = found


def save_every(cfg: Config, minutes: float) -> None:
    """Sets the config to save an interim checkpoint every few minutes."""
    hooks = cfg.get('custom_hooks') or []
    hooks = [hook for hook in hooks if type_name(hook['type']) != 'InterimCheckpointHook']
    cfg.custom_hooks = [*hooks, dict(type='InterimCheckpointHook', minutes=minutes)]


def enable_amp(cfg: Config) -> None:
    """Sets the config to train in mixed precision: bfloat16 on a CPU, scaled float16 elsewhere.

    Raises:
        InputError: If the config has an optimizer wrapper of its own kind.
    """
    wrapper = cfg.optim_wrapper
    wrapper_type = type_name(wrapper.get('type', 'OptimWrapper'))
    if wrapper_type not in ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper'):
        raise InputError(f'--amp: expected optim_wrapper.type OptimWrapper, got {wrapper_type}')
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
    scope = cfg.get('default_scope')
    if scope not in ('mmdet', 'mmpretrain'):
        raise InputError(f'--show-dir: expected default_scope mmdet or mmpretrain, got {scope!r}')
    hooks = list(cfg.get('custom_hooks') or [])
    cfg.custom_hooks = [*hooks, dict(type='DrawHook', out_dir=os.path.abspath(folder))]
