"""Checks that the schedules of a config fit into its training."""

from collections.abc import Iterable, Iterator, Mapping

from mmengine.config import Config
from mmengine.optim import _ParamScheduler

from ...utils.errors import InputError

NEVER = 10**9  # MMEngine's end of a schedule without one


def check_schedules(cfg: Config) -> None:
    """Checks that every schedule begins before it ends, and before the training does.

    Raises:
        InputError: Names the schedule and the length of the training, which disagree, or what is
            no number.
    """
    train = cfg.train_cfg
    lengths = {True: 'max_epochs', False: 'max_iters'}
    for name in lengths.values():
        _check_count(cfg, f'train_cfg.{name}', train.get(name))
    for key, schedule in _schedules('param_scheduler', cfg.get('param_scheduler')):
        for name in ('begin', 'end'):
            _check_count(cfg, f'{key}.{name}', schedule.get(name))
        milestones = schedule.get('milestones', ())
        if isinstance(milestones, str):
            raise InputError(
                f'{cfg.filename}: {key}.milestones: expected numbers, got the text {milestones!r}'
            )
        for number, milestone in enumerate(milestones):
            _check_count(cfg, f'{key}.milestones.{number}', milestone)
        length = lengths[schedule.get('by_epoch', True)]
        last, begin = train.get(length), schedule.get('begin', 0)
        if schedule.get('end') is not None and schedule['end'] <= begin:
            raise InputError(
                f'{cfg.filename}: {key}.end={schedule["end"]} is not after {key}.begin={begin}'
            )
        if last is not None and begin >= last:
            raise InputError(
                f'{cfg.filename}: {key}.begin={begin}, but the training ends at train_cfg.{length}='
                f'{last}; begin earlier, with a shorter warm-up, or train longer'
            )


def unfinished(schedules: Iterable[_ParamScheduler], epochs: int, iterations: int) -> list[str]:
    """Says of each schedule that leads beyond a training where it ends, and where the training.

    Args:
        schedules: As they are built.
        epochs: Length of the training.
        iterations: Length of the training.
    """
    found = []
    for schedule in schedules:
        last, unit = (epochs, 'epoch') if schedule.by_epoch else (iterations, 'iteration')
        ends = [*getattr(schedule, 'milestones', ())]
        if schedule.end < NEVER:
            ends.append(schedule.end)
        if ends and max(ends) > last:
            found.append(
                f'{type(schedule).__name__} goes on to {unit} {max(ends)}, but the training ends '
                f'at {unit} {last}'
            )
    return found


def _check_count(cfg: Config, key: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise InputError(f'{cfg.filename}: {key}: expected a number, got {value!r}')


def _schedules(key: str, node: object) -> Iterator[tuple[str, Mapping]]:
    """Yields the schedules of one optimizer, or of several by name, with their keys."""
    if isinstance(node, list | tuple):
        for number, child in enumerate(node):
            yield from _schedules(f'{key}.{number}', child)
    elif isinstance(node, Mapping) and 'type' in node:
        yield key, node
    elif isinstance(node, Mapping):
        for name, child in node.items():
            yield from _schedules(f'{key}.{name}', child)
