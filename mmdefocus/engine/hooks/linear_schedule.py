"""A number that changes linearly during training."""


def linear_schedule(start: float, end: float, step: int, num_steps: int) -> float:
    """Returns `start` at step 0 and `end` at step `num_steps - 1`, linear between."""
    return start + (end - start) * step / max(1, num_steps - 1)
