"""The drop path rate rises during training (Section 4.2)."""

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH as Batch
from mmengine.runner import Runner

from mmdefocus.registry import HOOKS

from .linear_schedule import has_epochs, linear_schedule


@HOOKS.register_module()
class DropPathScheduleHook(Hook):
    """Sets the drop path rate of every backbone, linear from `start` to `end`.

    The rate follows from the runner's counters alone, so a resumed run continues exactly. The
    modules are found through DDP and FSDP wrappers.

    Args:
        start: Rate in the first epoch, in [0, 1).
        end: Rate in the last epoch, in [0, 1).
        by_epoch: Whether to change the rate every epoch (as released) or every iteration. An
            iteration-based loop changes it every iteration in either case.

    Raises:
        ValueError: If a rate is out of its range, or no module of the model has
            `set_drop_path_rate`.
    """

    def __init__(self, start: float = 0.1, end: float = 0.7, by_epoch: bool = True) -> None:
        for name, rate in (('start', start), ('end', end)):
            if not 0.0 <= rate < 1.0:
                raise ValueError(
                    f'DropPathScheduleHook: {name} must be a rate in [0, 1), got {rate}'
                )
        self.start = start
        self.end = end
        self.by_epoch = by_epoch

    def before_train(self, runner: Runner) -> None:
        if not self._modules(runner):
            raise ValueError(
                'DropPathScheduleHook: no module of the model has set_drop_path_rate; use a '
                'backbone of mmdefocus or remove the hook'
            )
        # Layers that will drop are made to compute with a rate from the first step on, so that
        # compiled code stays valid when a schedule leaves 0.
        for module in self._modules(runner):
            module.set_drop_path_rate(max(self.start, self.end))

    def before_train_epoch(self, runner: Runner) -> None:
        if self.by_epoch and has_epochs(runner):
            self._set_rate(runner, runner.epoch, runner.max_epochs)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        if not (self.by_epoch and has_epochs(runner)):
            self._set_rate(runner, runner.iter, runner.max_iters)

    def _set_rate(self, runner: Runner, step: int, num_steps: int) -> None:
        rate = linear_schedule(self.start, self.end, step, num_steps)
        for module in self._modules(runner):
            module.set_drop_path_rate(rate)
        runner.message_hub.update_scalar('train/drop_path_rate', rate)

    @staticmethod
    def _modules(runner: Runner) -> list:
        return [m for m in runner.model.modules() if hasattr(m, 'set_drop_path_rate')]
