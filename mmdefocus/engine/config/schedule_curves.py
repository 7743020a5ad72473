"""What the schedules of a config will do during training, computed without data or weights."""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, PARAM_SCHEDULERS, DefaultScope
from torch import nn

from ...analysis.cost.summary import build_on_meta
from ...utils.errors import InputError
from ..hooks import AuxHeadHook, DropPathScheduleHook
from ..hooks.linear_schedule import linear_schedule

POINTS = 1000  # of a curve, about
LONGEST = 10_000_000  # steps, which take minutes: the schedulers go through each


class Curves(NamedTuple):
    """Schedules against the progress of a training, all of one length.

    Attributes:
        unit: 'epoch' or 'iteration'.
        progress: How much of the training is done, in that unit, before each step that is shown.
        values: By name: `learning rate`, `drop path rate` and, of a classifier with an auxiliary
            head, `auxiliary weight`.
    """

    unit: str
    progress: list[float]
    values: dict[str, list[float]]


def schedule_curves(cfg: Config, steps_per_epoch: int) -> Curves:
    """Returns the schedules of a config, as its training will follow them.

    The learning rate is that of a parameter without `lr_mult`, and not scaled to a batch size.

    Args:
        cfg: A config with `model`, `train_cfg` and `optim_wrapper`.
        steps_per_epoch: Iterations of an epoch; of no effect if the training counts iterations.

    Raises:
        InputError: If the config has no length of the training or one that is too long, or several
            optimizers.
    """
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters')
    if not length:
        raise InputError(f'{cfg.filename}: train_cfg: expected max_epochs or max_iters')
    by_epoch = 'max_epochs' in cfg.train_cfg
    per_epoch = steps_per_epoch if by_epoch else 1
    steps = length * per_epoch
    if steps > LONGEST:
        raise InputError(
            f'{cfg.filename}: expected a training of at most {LONGEST:,} steps, got {steps:,}; '
            'give a smaller --dataset-size or more --gpus, or a smaller train_cfg'
        )
    shown = list(range(0, steps, max(1, steps // POINTS)))
    rates = _learning_rates(cfg, by_epoch, per_epoch, steps)
    values = {'learning rate': [rates[step] for step in shown]}
    model = build_on_meta(cfg)
    hooks = [_build(hook) for hook in cfg.get('custom_hooks') or ()]
    drop_path = next((h for h in hooks if isinstance(h, DropPathScheduleHook)), None)
    aux = next((h for h in hooks if isinstance(h, AuxHeadHook)), None)
    if (rate := _own(model, 'drop_path_rate')) is not None:
        every = per_epoch if drop_path is None or drop_path.by_epoch else 1
        ends = (rate, rate) if drop_path is None else (drop_path.start, drop_path.end)
        values['drop path rate'] = _linear(ends, shown, every, steps)
    if weight := _own(model, 'own_aux_loss_weight'):
        ends = (weight, weight) if aux is None else (weight * aux.start, weight * aux.end)
        values['auxiliary weight'] = _linear(ends, shown, per_epoch, steps)
    unit = 'epoch' if by_epoch else 'iteration'
    return Curves(unit, [step / per_epoch for step in shown], values)


def _learning_rates(cfg: Config, by_epoch: bool, per_epoch: int, steps: int) -> list[float]:
    """Returns the learning rate of every step, by the schedulers themselves."""
    optimizer = cfg.optim_wrapper.get('optimizer')
    if optimizer is None or 'lr' not in optimizer:
        raise InputError(f'{cfg.filename}: optim_wrapper.optimizer.lr: expected a number')
    stand_in = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=optimizer['lr'])
    schedulers = cfg.get('param_scheduler') or []
    built = []
    for scheduler in [schedulers] if isinstance(schedulers, Mapping) else schedulers:
        given = copy.deepcopy(dict(scheduler))
        epochs = by_epoch and given.get('by_epoch', True)
        given.setdefault('end', steps // per_epoch if epochs else steps)
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            built.append(
                PARAM_SCHEDULERS.build(
                    given, default_args=dict(optimizer=stand_in, epoch_length=per_epoch)
                )
            )
    rates = []
    for step in range(1, steps + 1):
        rates.append(stand_in.param_groups[0]['lr'])
        stand_in.step()
        for scheduler in built:
            if not scheduler.by_epoch or (by_epoch and step % per_epoch == 0):
                scheduler.step()
    return rates


def _linear(ends: tuple[float, float], shown: Sequence[int], every: int, steps: int) -> list[float]:
    """Returns a number that changes every so many steps, at the steps that are shown."""
    return [linear_schedule(*ends, step // every, steps // every) for step in shown]


def _build(hook: Mapping) -> object:
    """Builds a hook if it is one of those that change a schedule here."""
    kinds = {DropPathScheduleHook.__name__, AuxHeadHook.__name__}
    return HOOKS.build(hook) if getattr(hook['type'], '__name__', hook['type']) in kinds else None


def _own(model: nn.Module, name: str) -> float | None:
    """Returns a number that a module of the model keeps, None if none has it."""
    found = (getattr(module, name, None) for module in model.modules())
    return next((number for number in found if isinstance(number, int | float)), None)
