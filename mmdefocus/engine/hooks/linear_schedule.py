"""A number that changes linearly during training."""

from mmengine.runner import IterBasedTrainLoop, Runner


def linear_schedule(start: float, end: float, step: int, num_steps: int) -> float:
    """Returns `start` at step 0 and `end` at step `num_steps - 1`, linear between."""
    return start + (end - start) * step / max(1, num_steps - 1)


def has_epochs(runner: Runner) -> bool:
    """Tells whether a training is counted in epochs; in iterations otherwise."""
    return not isinstance(getattr(runner, 'train_loop', None), IterBasedTrainLoop)
