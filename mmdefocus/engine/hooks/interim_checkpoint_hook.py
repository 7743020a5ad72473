"""Checkpoints by the clock, and when the machine is taken away."""

import time
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH as Batch
from mmengine.runner import Runner
from torch import distributed

from ...registry import HOOKS
from ..distributed import timeout_of
from ..preemption import Preempted, StopSignals
from ..resuming.newest import POINTER, point_to

NAME = 'interim.pth'


@HOOKS.register_module()
class InterimCheckpointHook(Hook):
    """Saves `interim.pth` every few minutes, and stops the training when a signal asks for it.

    On SIGTERM, SIGUSR1 or SIGINT the step that is on is finished (with several processes, the one
    after it too), the training is saved, and the program ends with status 75. The next start with
    `--resume` goes on. A signal during a validation is obeyed after the step that follows it.

    The runners of this package add the hook, without `minutes`, if the config has none.

    Args:
        minutes: Time between two interim checkpoints, above 0; None for none by the clock.

    Raises:
        ValueError: If `minutes` is not above 0.
    """

    priority = 'LOWEST'  # every other hook has finished the step

    def __init__(self, minutes: float | None = None) -> None:
        if minutes is not None and not minutes > 0:
            raise ValueError(
                f'InterimCheckpointHook: minutes: expected a time above 0, got {minutes}'
            )
        self.minutes = minutes
        self.signals = StopSignals()
        self._saved_at = 0.0
        self._group = None
        self._asked = None
        self._exchange = None

    def before_train(self, runner: Runner) -> None:
        """Starts the clock, and lets the processes talk beside the model's traffic."""
        self._saved_at = time.monotonic()
        if runner.world_size > 1:
            self._group = distributed.new_group(backend='gloo', timeout=timeout_of(runner.cfg))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: dict | None = None
    ) -> None:
        """Saves or stops, if it is time to.

        Raises:
            Preempted: If a signal has asked for it.
        """
        since = time.monotonic() - self._saved_at
        due = self.minutes is not None and since > 60 * self.minutes
        stop, save = self._agree(self.signals.received is not None, due)
        if stop or save:
            self.save(runner, runner.epoch, runner.iter + 1)
        if stop:
            self.stop(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Removes the interim checkpoint of a training that has come to its end."""
        if self._exchange is not None:
            self._exchange.wait()  # no process ends while another one still listens
        path = Path(runner.work_dir) / NAME
        if runner.rank == 0 and path.is_file() and _last(runner) != str(path):
            path.unlink()

    def save(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Saves a checkpoint to start from at an epoch and iteration."""
        meta = dict(epoch=epoch, iter=iteration)
        runner.save_checkpoint(runner.work_dir, NAME, meta=meta, by_epoch=False)
        if runner.rank == 0:
            point_to(str(Path(runner.work_dir) / NAME), runner.work_dir)
        self._saved_at = time.monotonic()

    def stop(self, runner: Runner, iteration: int) -> None:
        """Ends the program when all processes have saved.

        Raises:
            Preempted: Always.
        """
        if self._group is not None:
            distributed.barrier(self._group)
        reason = self.signals.received or 'a signal to another process'
        runner.logger.warning(
            f'stopped by {reason} after iteration {iteration}; start again with --resume to go on '
            f'(status {Preempted().code})'
        )
        raise Preempted

    def _agree(self, stop: bool, save: bool) -> tuple[bool, bool]:
        """Returns whether any process wants to stop, or to save.

        Several processes act on what they have said after the step before: the exchange is over
        by then, and no step waits for it.
        """
        if self._group is None:
            return stop, save
        before, self._asked = self._asked, torch.tensor([stop, save], dtype=torch.int32)
        if before is not None:
            self._exchange.wait()
        self._exchange = distributed.all_reduce(
            self._asked, distributed.ReduceOp.MAX, self._group, async_op=True
        )
        return (False, False) if before is None else tuple(map(bool, before.tolist()))


def _last(runner: Runner) -> str | None:
    path = Path(runner.work_dir) / POINTER
    return path.read_text().strip() if path.is_file() else None
