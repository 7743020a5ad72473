"""The runner of the command-line tools."""

from contextlib import ExitStack

from mmengine.runner import Runner
from torch import nn

from ..checkpoints.checks import Tolerance, checked_load, pretrained_files, resolve_aliases
from ..utils.wrappers import unwrapped
from .checked import Checked
from .resuming.runner import ExactResume


class CheckedRunner(Checked, ExactResume, Runner):
    """MMEngine's runner, which refuses what MMEngine lets pass and loses nothing when it does.

    Weights of a checkpoint must fit: all of them for a test, a resumed training and a
    pre-trained part, at least some for `load_from`. A resumed training equals an unbroken one, see
    `ExactResume`; for the rest see `Checked`.
    """

    def load_or_resume(self) -> None:
        """Loads the checkpoint, if there is one, and only then writes the config.

        Raises:
            InputError: If the checkpoint does not fit the model.
        """
        tolerate: Tolerance = 'partial' if self._is_training and not self._resume else 'nothing'
        with checked_load(self._bare_model, self._load_from or self.work_dir, tolerate):
            super().load_or_resume()
        Runner.dump_config(self)

    def _init_model_weights(self) -> None:
        resolve_aliases(self._bare_model)
        with ExitStack() as loads:
            for module, path in pretrained_files(self._bare_model):
                loads.enter_context(checked_load(module, path, 'extra'))
            super()._init_model_weights()

    @property
    def _bare_model(self) -> nn.Module:
        return unwrapped(self.model)
