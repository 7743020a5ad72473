"""Random numbers that depend on the epoch alone."""

from functools import partial

from mmengine.dataset import worker_init_fn
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...registry import HOOKS
from ..loops import ResumableEpochLoop, ResumableIterLoop
from ..resuming.generators import seed_generators


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every random generator at the start of each epoch, from (seed, epoch, rank).

    An epoch can so be repeated alone. With the runners of this package a resumed training is exact
    without the hook, and the whole of an iteration-based training is one epoch to it.

    With MMEngine's own runner the hook makes a training exact that is resumed at the end of an
    epoch: workers start anew in each epoch and take their seeds from the main process. MMEngine's
    default would seed them alike in every epoch; it is taken out.
    """

    def before_train(self, runner: Runner) -> None:
        """Checks a loop of MMEngine and lets its workers draw their seeds from the main process.

        Raises:
            ValueError: If such a loop has no epochs, or its workers outlive an epoch.
        """
        loop, loader = runner.train_loop, runner.train_dataloader
        if isinstance(loop, ResumableEpochLoop | ResumableIterLoop):
            return
        if not isinstance(loop, EpochBasedTrainLoop):
            raise ValueError(
                'EpochSeedHook: expected an epoch-based loop (train_cfg.by_epoch=True), got '
                f'{type(loop).__name__}; take the hook out of custom_hooks'
            )
        if loader.num_workers and loader.persistent_workers:
            raise ValueError(
                'EpochSeedHook: expected train_dataloader.persistent_workers=False, got True: the '
                'random states of workers that live on would be lost when a run is resumed'
            )
        init = loader.worker_init_fn
        if isinstance(init, partial) and init.func is worker_init_fn:
            loader.worker_init_fn = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seeds the generators of Python, NumPy and PyTorch."""
        seed_generators(runner.seed, runner.epoch, runner.rank)
