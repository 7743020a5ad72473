"""Carries the state of a training into its checkpoints and out of them."""

import logging

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..resuming.generators import generator_states, set_generator_states
from ..resuming.state import KEY

# How MMEngine begins its warning when it goes on between two updates of accumulated gradients.
LOST_GRADIENTS = 'Resumed iteration number is not divisible by `_accumulative_counts`'


@HOOKS.register_module()
class TrainingStateHook(Hook):
    """Keeps what a checkpoint holds beside weights, and validation from changing it.

    The runners of this package add it by themselves. A validation leaves the generators of the
    training as they were, so that a training without that validation goes on alike.

    Attributes:
        saving: The state that goes into the checkpoint that is written, None for no state.
        loaded: The state in the checkpoint that was loaded, None if it had none.
        loaded_meta: The `meta` of that checkpoint.
        loaded_schedules: Its `param_schedulers`.
        has_gradients: Whether that state has gradients of an unfinished accumulation.
        validated_at: Epoch and iteration of the last validation.
        kept_states: The states of the generators outside of the validation that is on, or None.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.saving: dict | None = None
        self.loaded: dict | None = None
        self.loaded_meta: dict = {}
        self.loaded_schedules: list = []
        self.has_gradients = False
        self.validated_at: tuple[int, int] | None = None
        self.kept_states: dict | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the state."""
        if self.saving is not None:
            checkpoint[KEY] = self.saving

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state."""
        self.loaded = checkpoint.get(KEY)
        processes = self.loaded['processes'] if self.loaded else []
        self.has_gradients = any(process['gradients'] for process in processes)
        self.loaded_meta = checkpoint.get('meta') or {}
        self.loaded_schedules = checkpoint.get('param_schedulers') or []

    def filter(self, record: logging.LogRecord) -> bool:
        """Leaves a warning out of a log: that gradients are lost, which the checkpoint has."""
        return not (self.has_gradients and record.getMessage().startswith(LOST_GRADIENTS))

    def before_val(self, runner: Runner) -> None:
        """Keeps the generators of the training."""
        self.validated_at = runner.epoch, runner.iter
        self.kept_states = generator_states()

    def after_val(self, runner: Runner) -> None:
        """Puts the generators of the training back."""
        if self.kept_states is not None:
            set_generator_states(self.kept_states)
            self.kept_states = None
