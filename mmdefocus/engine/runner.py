"""The runner of the command-line tools."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ..checkpoints.checks import (
    Tolerance,
    check_file,
    checked_load,
    pretrained_files,
    resolve_aliases,
)
from ..datasets.transforms.load_image import with_strict_loading
from ..utils.errors import InputError, one_line
from ..utils.wrappers import unwrapped
from .hooks.non_finite_loss_hook import diverged
from .resuming.runner import ExactResume

# What SciPy says to a matching of predictions that are NaN or infinite.
NOT_FINITE = ('matrix contains invalid numeric entries', 'cost matrix is infeasible')


class CheckedRunner(ExactResume, Runner):
    """MMEngine's runner, which refuses what MMEngine lets pass and loses nothing when it does.

    Weights of a checkpoint must fit: all of them for a test, a resumed training and a
    pre-trained part, at least some for `load_from`. The config in the work directory is replaced
    when everything has been built and loaded, not before. A resumed training equals an unbroken
    one, see `ExactResume`. Images are loaded by `LoadImage`, also where a pipeline names mmcv's
    loader.
    """

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | Mapping, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a loader as MMEngine does, with strict loading of images."""
        return Runner.build_dataloader(with_strict_loading(dataloader), seed, diff_rank_seed)

    def train(self) -> nn.Module:
        """Trains, and returns the model.

        Raises:
            FloatingPointError: If a detector cannot match its predictions with the truth because
                they are not finite. Names the iteration.
        """
        try:
            return super().train()
        except ValueError as error:
            if str(error) not in NOT_FINITE:
                raise
            raise diverged(self, 'the predictions are not finite') from error

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls the hooks as MMEngine does.

        A training that starts from a checkpoint, and does not resume it, begins its averages with
        the weights that it loads: mmpretrain's `EMAHook` would take those of the checkpoint,
        which need not fit.
        """
        training = isinstance(self._train_loop, BaseLoop)
        if fn_name == 'after_load_checkpoint' and training and not self._resume:
            kwargs['checkpoint'].pop('ema_state_dict', None)
        super().call_hook(fn_name, **kwargs)

    def load_or_resume(self) -> None:
        """Loads the checkpoint, if there is one, and only then writes the config.

        Raises:
            InputError: If the checkpoint does not fit the model.
        """
        training = isinstance(self._train_loop, BaseLoop)
        tolerate: Tolerance = 'partial' if training and not self._resume else 'nothing'
        with checked_load(self._bare_model, self._load_from or self.work_dir, tolerate):
            super().load_or_resume()
        super().dump_config()

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Resumes a training.

        Raises:
            InputError: If the checkpoint is damaged, not finite, or has not what it takes.
        """
        check_file(filename, resume=True)
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except InputError:
            raise
        except Exception as error:  # each wrong entry fails in its own way
            raise InputError(
                f'checkpoint {filename}: cannot be resumed: {type(error).__name__}: '
                f'{one_line(error)}'
            ) from error

    def dump_config(self) -> None:
        """Waits for `load_or_resume`: the constructor calls this before anything is checked."""

    def _init_model_weights(self) -> None:
        resolve_aliases(self._bare_model)
        with ExitStack() as loads:
            for module, path in pretrained_files(self._bare_model):
                loads.enter_context(checked_load(module, path, 'extra'))
            super()._init_model_weights()

    @property
    def _bare_model(self) -> nn.Module:
        return unwrapped(self.model)
