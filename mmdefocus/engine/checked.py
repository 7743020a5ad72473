"""What both runners of this package refuse, explain and leave out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ..datasets.transforms.load_image import with_strict_loading
from .hooks.non_finite_loss_hook import diverged

if TYPE_CHECKING:
    from mmengine.runner import Runner as _Runner  # what it is put before
else:
    _Runner = object

# What SciPy says to a matching of predictions that are NaN or infinite.
NOT_FINITE = ('matrix contains invalid numeric entries', 'cost matrix is infeasible')


class Checked(_Runner):
    """To be put before `ExactResume` and a runner of MMEngine.

    Images are loaded by `LoadImage`, also where a pipeline names mmcv's loader. The config in the
    work directory is replaced when everything has been built and loaded, not before.
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
        if fn_name == 'after_load_checkpoint' and self._is_training and not self._resume:
            kwargs['checkpoint'].pop('ema_state_dict', None)
        super().call_hook(fn_name, **kwargs)

    def dump_config(self) -> None:
        """Waits for `load_or_resume`: the constructor calls this before anything is checked."""

    @property
    def _is_training(self) -> bool:
        return isinstance(self._train_loop, BaseLoop)
