"""Keeps weights that are lost out of checkpoints."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints.weights import is_finite, is_number, tensors_in
from ...registry import HOOKS
from .non_finite_loss_hook import lost

WEIGHTS = ('state_dict', 'ema_state_dict')


@HOOKS.register_module()
class FiniteWeightsHook(Hook):
    """Stops the training if what is to be saved is NaN or infinite, before it is saved.

    The runners of this package add it by themselves. It sees each checkpoint: after an epoch, after
    iterations, by the clock, on a signal, and the best ones.
    """

    priority = 'LOWEST'  # after the hooks that put averaged weights into the checkpoint

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks weights, averaged weights and the state of the optimizer.

        Raises:
            FloatingPointError: Names the first weight that is not finite.
        """
        for key in WEIGHTS:
            for name, weight in (checkpoint.get(key) or {}).items():
                if isinstance(weight, Tensor) and not is_finite(weight):
                    raise lost(runner, f'weight {name} is NaN or infinite')
        if not all(map(is_number, tensors_in(checkpoint.get('optimizer') or {}))):
            raise lost(runner, 'the state of the optimizer is NaN')
