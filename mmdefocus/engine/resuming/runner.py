"""What makes the training of a runner of MMEngine resumable to the bit."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from ...checkpoints.checks import check_file
from ...registry import HOOKS
from ...utils.errors import InputError, one_line
from ..hooks.finite_weights_hook import FiniteWeightsHook
from ..hooks.interim_checkpoint_hook import InterimCheckpointHook
from ..hooks.training_state_hook import TrainingStateHook
from ..hooks.whole_checkpoint_hook import WholeCheckpointHook
from ..loops import ResumableEpochLoop, ResumableIterLoop
from .loader import can_be_positioned
from .newest import SAVED
from .settings import Settings
from .state import restore, training_state

OF_MMENGINE = ('type', 'by_epoch', '_scope_')  # keys of `train_cfg` that no loop takes


if TYPE_CHECKING:
    from mmengine.runner import Runner as _Runner  # what it is put before
else:
    _Runner = object


class ExactResume(_Runner):
    """To be put before MMEngine's `Runner` or `FlexibleRunner`, whose methods it completes.

    Its loops take the place of MMEngine's two training loops; a loop of another type is left as
    it is, and resumed as MMEngine does it.
    """

    def register_hooks(
        self, default_hooks: Mapping | None = None, custom_hooks: list[Hook | dict] | None = None
    ) -> None:
        """Registers the hooks of the config, and those that carry the state, check it and stop."""
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(FiniteWeightsHook())
        self.state_hook = TrainingStateHook()
        self.register_hook(self.state_hook)
        if not any(isinstance(hook, InterimCheckpointHook) for hook in self.hooks):
            self.register_hook(InterimCheckpointHook())
        self.interim_hook = next(h for h in self.hooks if isinstance(h, InterimCheckpointHook))

    def register_hook(self, hook: Hook | dict, priority: str | int | None = None) -> None:
        """Registers a hook; MMEngine's `CheckpointHook` becomes `WholeCheckpointHook`."""
        if isinstance(hook, dict):
            kind = hook.get('type')
            if (HOOKS.get(kind) if isinstance(kind, str) else kind) is CheckpointHook:
                hook = dict(hook, type=WholeCheckpointHook)
        super().register_hook(hook, priority)

    def train(self) -> nn.Module:
        """Trains, and stops on a signal; see `InterimCheckpointHook`.

        Raises:
            Preempted: If a signal has stopped the training, which is saved.
        """
        with self.interim_hook.signals:
            return super().train()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the training loop; one of MMEngine's becomes one that is resumable."""
        built = super().build_train_loop(loop)
        resumable = {
            EpochBasedTrainLoop: ResumableEpochLoop,
            IterBasedTrainLoop: ResumableIterLoop,
        }
        kind = resumable.get(type(built))
        if kind is None or isinstance(loop, BaseLoop) or not can_be_positioned(built.dataloader):
            return built
        settings = {key: value for key, value in loop.items() if key not in OF_MMENGINE}
        return kind(runner=self, dataloader=built.dataloader, **settings)

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Saves a checkpoint with the state of the training; says how long that takes.

        A checkpoint without the optimizer is not to be resumed and holds no state.
        """
        started = time.perf_counter()
        meta = dict(meta or {})
        meta[SAVED] = time.time()
        meta.setdefault('epoch', self.epoch + by_epoch)
        meta.setdefault('iter', self.iter + (not by_epoch))
        self.state_hook.saving = None
        if save_optimizer and isinstance(self.train_loop, ResumableEpochLoop | ResumableIterLoop):
            position = meta['epoch'], meta['iter']
            self.state_hook.saving = training_state(
                self,
                *position,
                states=self.state_hook.kept_states,
                validated=self.state_hook.validated_at == position,
            )
        super().save_checkpoint(
            out_dir,
            filename,
            file_client_args=file_client_args,
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            meta=meta,
            by_epoch=by_epoch,
            backend_args=backend_args,
        )
        self.state_hook.saving = None
        path = Path(out_dir) / filename
        if path.is_file():
            seconds = time.perf_counter() - started
            size = path.stat().st_size / 2**20
            self.logger.info(f'{path}: {size:.1f} MiB written in {seconds:.2f} s')

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Resumes a training, to the bit where the settings have not changed.

        Raises:
            InputError: If the checkpoint is damaged, not finite, or has not what it takes, or the
                config asks for what cannot follow from it.
        """
        check_file(filename, resume=True)
        with _in_one_line(filename):
            settings = Settings(self)
            seed = self._configured_seed()
            self.logger.addFilter(self.state_hook)
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
            self._follow(settings, seed, filename)

    def _follow(self, settings: Settings, seed: int | None, filename: str) -> None:
        """Sets loop, generators and schedules to what a checkpoint has, which has been loaded."""
        loop, hook = self.train_loop, self.state_hook
        self._check_seed(seed, hook.loaded_meta.get('seed'), filename)
        if not isinstance(loop, ResumableEpochLoop | ResumableIterLoop):
            return
        loop.dataloader.positioned.seed = self.seed
        if hook.loaded is None:
            _without_state(self, filename)
        else:
            restore(self, hook.loaded, filename)
        done, planned, unit = (
            (loop.iter, loop.max_iters, 'iterations')
            if loop.endless
            else (loop.epoch, loop.max_epochs, 'epochs')
        )
        if done > planned:
            raise InputError(
                f'checkpoint {filename}: cannot be resumed, it has {done} {unit} behind it and '
                f'train_cfg.max_{"iters" if loop.endless else "epochs"} is {planned}; raise it'
            )
        settings.follow(self, hook.loaded_schedules, filename)
        hook.loaded = None  # the gradients of all processes may be large

    def _configured_seed(self) -> int | None:
        return self._randomness_cfg.get('seed')

    @staticmethod
    def _check_seed(configured: int | None, saved: int | None, filename: str) -> None:
        if None not in (configured, saved) and configured != saved:
            raise InputError(
                f'checkpoint {filename}: cannot be resumed with randomness.seed={configured}, '
                f'its training has seed {saved}; set randomness.seed={saved}, or start from the '
                'weights alone: load_from without resume'
            )


@contextmanager
def _in_one_line(filename: str) -> Iterator[None]:
    """Names the checkpoint where it cannot be resumed: each wrong entry fails in its own way."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f'checkpoint {filename}: cannot be resumed: {type(error).__name__}: {one_line(error)}'
        ) from error


def _without_state(runner: ExactResume, filename: str) -> None:
    """Sets the loop to where a checkpoint without a state of the training says that it is.

    Raises:
        InputError: If it stopped within an epoch.
    """
    loop = runner.train_loop
    runner.logger.warning(
        f'checkpoint {filename} holds no state of generators: the training goes on with other '
        'random numbers than an unbroken one'
    )
    if loop.endless:
        loop.batches_done = loop.first_iter = loop.iter
        return
    if loop.iter % loop.epoch if loop.epoch else loop.iter:
        raise InputError(
            f'checkpoint {filename}: cannot be resumed, it stopped within an epoch and does not '
            'say at which sample; resume from the end of an epoch'
        )
    loop._iter = loop.epoch * len(loop.dataloader)
