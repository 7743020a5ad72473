"""Checks that the schedules of a config fit into its training."""

from collections.abc import Iterator, Mapping

from mmengine.config import Config

from ...utils.errors import InputError


def check_schedules(cfg: Config) -> None:
    """Checks that every schedule begins before it ends, and before the training does.

    Raises:
        InputError: Names the schedule and the length of the training, which disagree.
    """
    train = cfg.train_cfg
    lengths = {True: 'max_epochs', False: 'max_iters'}
    for key, schedule in _schedules('param_scheduler', cfg.get('param_scheduler')):
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
