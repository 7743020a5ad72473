"""Which part of a config an error comes from, by the objects that were at work."""

from collections.abc import Sequence
from types import FrameType

from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import BatchSampler, DataLoader, Sampler

# What an object of each class is called in a config.
KEYS: dict[type | tuple[type, ...], str] = {
    BaseDataset: 'dataset',
    (DataLoader, BatchSampler, Sampler): 'dataloader',
    (BaseMetric, Evaluator): 'evaluator',
    Hook: 'hook',
    _ParamScheduler: 'param_scheduler',
    (OptimWrapper, Optimizer): 'optim_wrapper',
    BaseLoop: 'loop',
    Visualizer: 'visualizer',
}


def place_of(frames: Sequence[FrameType]) -> str | None:
    """Returns 'key (class)' of the part that was at work in the innermost of some frames.

    Parts of a model have all keys that lead to them, such as 'model.head.fc (Linear)'. A step of a
    pipeline, which needs no base class, is one with a method `transform`.

    Returns:
        None if no part of a config was at work.
    """
    owners = [frame.f_locals.get('self') for frame in frames]
    for owner in reversed(owners):
        name = type(owner).__name__
        if isinstance(owner, nn.Module):
            return f'{_model_key(owner, owners)} ({name})'
        if callable(getattr(owner, 'transform', None)) and 'results' in _locals_of(owner, frames):
            return f'pipeline ({name})'
        for kinds, key in KEYS.items():
            if isinstance(owner, kinds):
                return f'{key} ({name})'
        if isinstance(owner, Runner):
            return 'the config'
    return None


def _locals_of(owner: object, frames: Sequence[FrameType]) -> dict:
    return next(f.f_locals for f in reversed(frames) if f.f_locals.get('self') is owner)


def _model_key(module: nn.Module, owners: Sequence[object]) -> str:
    """Returns the keys that lead to a module from the outermost module at work."""
    for root in owners:
        if isinstance(root, nn.Module):
            names = {id(part): name for name, part in root.named_modules()}
            keys = ['model', *names.get(id(module), '').split('.')]
            return '.'.join(key for key in keys if key and key != 'module')
    return 'model'
