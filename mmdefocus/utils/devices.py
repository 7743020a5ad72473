"""The device that a user names."""

import torch
from mmengine.device import get_device

from .errors import InputError


def device_of(name: str | None) -> torch.device:
    """Returns a device of this machine, by default as MMEngine chooses.

    Raises:
        InputError: If this machine has no such device.
    """
    if name is None:
        return torch.device(get_device())
    try:
        torch.zeros(1, device=name).cpu()  # a device without values, such as meta, is none
    # Torch asserts where it was built without a backend, and a driver raises what it likes.
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f'device: expected one of this machine, such as {get_device()}, got {name!r}'
        ) from error
    return torch.device(name)
