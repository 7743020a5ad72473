"""Stops a training that has diverged."""

import math

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ...utils.errors import InputError
from ...utils.wrappers import unwrapped
from ..resuming.newest import checkpoint_folders, newest_checkpoint


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stops the training at the first loss that is NaN or infinite.

    It runs before the hooks that average or save weights, so that no checkpoint is written or
    replaced after the loss is lost. The losses are read where `RuntimeInfoHook` has put them as
    numbers: there is no further wait for the device. At the end of an epoch the weights are looked
    at as well, since the last step may have spoilt them behind a finite loss.
    """

    priority = 'ABOVE_NORMAL'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Checks the losses of the step.

        Raises:
            FloatingPointError: If a loss is not finite. Names it, the iteration and the epoch.
        """
        hub = runner.message_hub
        losses = {
            name: hub.get_scalar(f'train/{name}').current()
            for name in outputs or ()
            if 'loss' in name
        }
        broken = {name: loss for name, loss in losses.items() if not math.isfinite(loss)}
        if broken:
            # The sum is as broken as its terms: it is named only where no term is.
            terms = {name: loss for name, loss in broken.items() if name != 'loss'} or broken
            found = ', '.join(f'{name} is {loss}' for name, loss in terms.items())
            raise diverged(runner, found)

    def after_train_epoch(self, runner: Runner) -> None:
        """Checks the weights that are about to be saved.

        Raises:
            FloatingPointError: If a parameter is not finite. Names it and the epoch.
        """
        model = unwrapped(runner.model)
        for name, param in model.named_parameters():
            if not param.isfinite().all():
                raise FloatingPointError(
                    f'parameter {name} is not finite after epoch {runner.epoch + 1}; training is '
                    f'stopped, {_last_good(runner)}; lower the learning rate or clip the gradients'
                )


def lost(runner: Runner, found: str) -> FloatingPointError:
    """Returns the error that stops a training before it saves; `found` says what is not finite."""
    return FloatingPointError(
        f'{found} after iteration {runner.iter}; training is stopped and nothing is saved, '
        f'{_last_good(runner)}; lower the learning rate or clip the gradients'
    )


def diverged(runner: Runner, found: str) -> FloatingPointError:
    """Returns the error that stops a training in mid-epoch; `found` says what is not finite."""
    return FloatingPointError(
        f'{found} at iteration {runner.iter + 1} (epoch {runner.epoch + 1}); training is stopped, '
        f'{_last_good(runner)}; lower the learning rate or clip the gradients'
    )


def _last_good(runner: Runner) -> str:
    """Says which checkpoint holds the last weights that were saved."""
    try:
        newest = newest_checkpoint(checkpoint_folders(runner.cfg, runner.work_dir))
    except InputError:
        newest = None
    return f'the last good checkpoint is {newest}' if newest else 'no checkpoint had been saved'
