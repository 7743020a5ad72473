"""Writes into the log in which order an epoch takes its samples."""

from hashlib import sha256

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS


@HOOKS.register_module()
class SampleOrderHook(Hook):
    """Logs a hash of the samples of each epoch, so that two runs can be compared.

    It is that of this process's numbers of samples, in their order. The sampler has to give the
    same order each time that it is begun, as those of MMEngine do.
    """

    priority = 'LOW'  # after `DistSamplerSeedHook`, which tells the sampler the epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Logs the hash."""
        order = np.fromiter(runner.train_dataloader.sampler, np.int64)
        runner.logger.info(
            f'epoch {runner.epoch + 1}: {len(order)} samples, order sha256 {order_hash(order)}'
        )


def order_hash(order: np.ndarray) -> str:
    """Returns the first 16 digits of the hash of int64 numbers `(N,)`, on any machine the same."""
    return sha256(order.astype('<i8').tobytes()).hexdigest()[:16]
