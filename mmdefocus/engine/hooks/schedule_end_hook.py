"""Tells of schedules that a training is too short for."""

from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..config.schedules import unfinished


@HOOKS.register_module()
class ScheduleEndHook(Hook):
    """Warns of each schedule that leads beyond the end of the training, such as a long warm-up."""

    def before_train(self, runner: Runner) -> None:
        """Writes a line for each of them."""
        groups = runner.param_schedulers or []
        for group in groups.values() if isinstance(groups, Mapping) else [groups]:
            for found in unfinished(group, runner.max_epochs, runner.max_iters):
                runner.logger.warning('param_scheduler: %s', found)
