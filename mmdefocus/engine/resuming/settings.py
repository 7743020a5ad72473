"""Optimizer settings and schedules of a config, which a resumed training follows."""

import copy
import warnings
from collections.abc import Iterator, Mapping

from mmengine.optim import OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner

from ...utils.errors import InputError

# What a schedule counts, beside what it was built with.
COUNTERS = ('last_step', '_global_step', '_last_value', 'verbose')


class Settings:
    """The settings of optimizers and schedules that a runner has built and not yet loaded over."""

    def __init__(self, runner: Runner) -> None:
        self.groups = [_without_params(group) for group in _groups(runner)]
        self.schedules = [copy.deepcopy(s.state_dict()) for s in _schedules(runner)]

    def follow(self, runner: Runner, saved: list | Mapping, name: str) -> None:
        """Puts back the settings where the loaded ones differ from them.

        Nothing is touched if none has changed, so that a resumed training is exact. Otherwise the
        schedules are run anew to where the training is.

        Args:
            runner: The runner, which has loaded a checkpoint.
            saved: The schedules in the checkpoint, for each optimizer if there are several.
            name: The name of the checkpoint.

        Raises:
            InputError: If a schedule has changed that follows metrics, which are past.
        """
        changed = self._changed(runner, list(_flat(saved)))
        if not changed:
            return
        schedules = list(_schedules(runner))
        if any(getattr(schedule, 'need_val_args', False) for schedule in schedules):
            raise InputError(
                f'checkpoint {name}: cannot be resumed with another {", ".join(changed)}: a '
                'schedule follows the metrics of past epochs; keep the settings, or start from '
                'the weights alone: load_from without resume'
            )
        for group, settings in zip(_groups(runner), self.groups, strict=True):
            group.update(settings)
        for schedule, state in zip(schedules, self.schedules, strict=True):
            optimizer = schedule.optimizer
            vars(schedule).clear()  # a schedule of another kind may have been loaded
            schedule.optimizer = optimizer
            schedule.load_state_dict(state)
        _run_schedules(schedules, runner)
        runner.logger.warning(
            f'{", ".join(changed)} differ from the checkpoint: the training follows the config'
        )

    def _changed(self, runner: Runner, saved: list[Mapping]) -> list[str]:
        """Returns the names of what differs, in the words of a config."""
        names = {
            f'optimizer {key}'
            for group, settings in zip(_groups(runner), self.groups, strict=True)
            for key, value in settings.items()
            if f'initial_{key}' not in settings and group.get(key) != value
        }
        if len(saved) != len(self.schedules):
            return sorted(names | {'param_scheduler'})
        for old, new in zip(saved, self.schedules, strict=True):
            names |= {
                f'param_scheduler {key}'
                for key in {*old, *new} - {*COUNTERS}
                if key not in old or key not in new or old[key] != new[key]
            }
        return sorted(names)


def _run_schedules(schedules: list[_ParamScheduler], runner: Runner) -> None:
    """Steps schedules as the training has done it: every iteration, and every epoch."""
    loop = runner.train_loop
    by_iteration = [schedule for schedule in schedules if not schedule.by_epoch]
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch]
    length = len(loop.dataloader)
    with warnings.catch_warnings():
        # Without steps of the optimizer between, PyTorch warns.
        warnings.simplefilter('ignore', UserWarning)
        for done in range(1, loop.iter + 1):
            for schedule in by_iteration:
                schedule.step()
            if not loop.endless and done % length == 0 and done // length <= loop.epoch:
                for schedule in by_epoch:
                    schedule.step()


def _groups(runner: Runner) -> Iterator[dict]:
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    for each in wrappers:
        yield from each.param_groups


def _schedules(runner: Runner) -> Iterator[_ParamScheduler]:
    yield from _flat(runner.param_schedulers or [])


def _flat(schedules: list | Mapping) -> Iterator:
    """Yields the schedules of one optimizer or of several."""
    for each in schedules.values() if isinstance(schedules, Mapping) else [schedules]:
        yield from each


def _without_params(group: Mapping) -> dict[str, object]:
    return {key: copy.deepcopy(value) for key, value in group.items() if key != 'params'}
