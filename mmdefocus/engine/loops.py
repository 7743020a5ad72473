"""Training loops that stop after any step and go on from there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from .resuming.generators import set_generator_states
from .resuming.loader import PositionedLoader

if TYPE_CHECKING:
    from mmengine.runner import BaseLoop as _Loop  # what it is put before
else:
    _Loop = object


class _ResumableLoop(_Loop):
    """What both loops share: where they start, and what is left to do there.

    Attributes:
        batches_done: Batches of this process before the first one, in the epoch of an epoch-based
            loop, in the whole training of an iteration-based one.
        first_iter: The iteration at which this process has started.
        states: States of the generators to start from, None to go on with those there are.
        owes_validation: Whether the validation after the last step is still to be done.
    """

    endless: bool
    dataloader: PositionedLoader

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.dataloader = PositionedLoader(self.dataloader, self.runner.seed, self.endless)
        self.batches_done = 0
        self.first_iter = 0
        self.states = None
        self.owes_validation = False

    def take_states(self) -> None:
        """Sets the generators to the states to start from, once."""
        if self.states is not None:
            set_generator_states(self.states)
            self.states = None

    def batches_at(self, epoch: int, iteration: int) -> int:
        """Returns what `batches_done` is for one who starts at an epoch and iteration."""
        if self.endless:
            return self.batches_done + iteration - self.first_iter
        return iteration - epoch * len(self.dataloader)

    def until_stopped(self, batches: Iterator) -> Iterator:
        """Yields batches; a signal that has ended the workers as well stops the training.

        Raises:
            Preempted: If so; the training is saved.
        """
        try:
            yield from batches
        except RuntimeError:
            stopper = self.runner.interim_hook
            if stopper.signals.received is None or self.runner.world_size > 1:
                raise
            stopper.save(self.runner, self.epoch, self.iter)
            stopper.stop(self.runner, self.iter)

    def validate_if_due(self, done: int, last: int) -> None:
        """Validates if it is time to, after so many epochs or iterations."""
        due = done >= self.val_begin and (done % self.val_interval == 0 or done == last)
        if self.runner.val_loop is not None and due:
            self.runner.val_loop.run()


@LOOPS.register_module()
class ResumableEpochLoop(_ResumableLoop, EpochBasedTrainLoop):
    """MMEngine's epoch-based loop, which can start in the middle of an epoch. Same arguments."""

    endless = False

    def run(self) -> object:
        """Trains and returns the model."""
        self.runner.call_hook('before_train')
        if self.owes_validation:
            self._decide_current_val_interval()
            self.validate_if_due(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self.validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Trains for what is left of an epoch."""
        first, self.batches_done = self.batches_done, 0
        if first == 0:
            # The states were saved before the epoch began: what begins it draws again.
            self.take_states()
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.dataloader.positioned.start_at(self._epoch, first)
        batches = iter(self.dataloader)
        self.take_states()
        for number, batch in enumerate(self.until_stopped(batches), first):
            self.run_iter(number, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class ResumableIterLoop(_ResumableLoop, IterBasedTrainLoop):
    """MMEngine's iteration-based loop, which starts at any batch. Same arguments.

    A finite sampler is begun again, with its next epoch, where it ends.
    """

    endless = True

    def run(self) -> object:
        """Trains and returns the model."""
        self.runner.call_hook('before_train')
        # The whole training is one epoch to the hooks, as in MMEngine.
        self.runner.call_hook('before_train_epoch')
        if self.owes_validation:
            self._decide_current_val_interval()
            self.validate_if_due(self._iter, self._max_iters)
        self.dataloader.positioned.start_at(0, self.batches_done)
        batches = self.until_stopped(iter(self.dataloader))
        self.take_states()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            self.validate_if_due(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model
