"""Keeps autocast out of the operators: they choose their precision themselves."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')


def without_autocast(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Runs a function without autocast on the device of its first argument, a tensor.

    Autocast reaches into custom operators: their float32 matrix products would be bfloat16.
    """

    @functools.wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with torch.autocast(args[0].device.type, enabled=False):
            return function(*args, **kwargs)

    return run
