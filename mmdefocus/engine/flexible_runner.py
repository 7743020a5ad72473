"""The runner of sharded trainings: FSDP and DeepSpeed."""

from mmengine.model import is_model_wrapper
from mmengine.runner import FlexibleRunner, load_state_dict
from torch import nn

from ..checkpoints.checks import (
    Tolerance,
    check_file,
    checked_load,
    pretrained_files,
    resolve_aliases,
)
from ..checkpoints.mmengine_loader import load_from_mmdefocus
from .resuming.runner import ExactResume


class CheckedFlexibleRunner(ExactResume, FlexibleRunner):
    """MMEngine's runner with strategies, with the checks of `CheckedRunner`.

    A strategy cuts the parameters to pieces, in which names and shapes are no longer seen.
    Therefore weights are tried on the whole model, before the strategy gets it.
    """

    def train(self) -> nn.Module:
        """Trains.

        Raises:
            InputError: If a checkpoint does not fit the model.
        """
        self._check_weights('nothing' if self._resume else 'partial')
        return super().train()

    def test(self) -> dict[str, float]:
        """Tests and returns the metrics.

        Raises:
            InputError: If the checkpoint does not fit the model.
        """
        self._check_weights('nothing')
        return super().test()

    def load_or_resume(self) -> None:
        """Loads the checkpoint, if there is one, and only then writes the config."""
        super().load_or_resume()
        super().dump_config()

    def dump_config(self) -> None:
        """Waits for `load_or_resume`: the constructor calls this before anything is checked."""

    def _check_weights(self, tolerate: Tolerance) -> None:
        self.model = model = self.strategy.build_model(self.model)
        if is_model_wrapper(model):
            return
        resolve_aliases(model)
        for module, path in pretrained_files(model):
            with checked_load(module, path, 'extra'):
                module.init_weights()
        path = self._load_from
        if path is not None:
            check_file(path, resume=bool(self._resume))
            with checked_load(model, path, tolerate):
                load_state_dict(model, load_from_mmdefocus(path)['state_dict'])
