"""Makes a resumed training equal to one that was never stopped."""

import random
from functools import partial

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every random generator at the start of each epoch, from (seed, epoch, rank).

    A checkpoint holds no generator states. With this hook an epoch's random numbers depend on the
    runner's counters alone, so that a resumed run repeats them to the bit.

    Workers that load the data start anew in each epoch and take their seeds from the generator of
    the main process. MMEngine's default would seed them alike in every epoch; it is taken out.
    """

    def before_train(self, runner: Runner) -> None:
        """Checks the loop and lets the workers draw their seeds from the main process.

        Raises:
            ValueError: If the loop has no epochs, or the workers outlive an epoch.
        """
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'EpochSeedHook needs an epoch-based loop (train_cfg.by_epoch=True), found '
                f'{type(runner.train_loop).__name__}; take the hook out of custom_hooks'
            )
        loader = runner.train_dataloader
        if loader.num_workers and loader.persistent_workers:
            raise ValueError(
                'EpochSeedHook needs train_dataloader.persistent_workers=False, found True: the '
                'random states of workers that live on would be lost when a run is resumed'
            )
        init = loader.worker_init_fn
        if isinstance(init, partial) and init.func is worker_init_fn:
            loader.worker_init_fn = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seeds the generators of Python, NumPy and PyTorch."""
        sequence = np.random.SeedSequence((runner.seed, runner.epoch, runner.rank))
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
