"""Calls the functions of the compiled library."""

import ctypes
import os

import torch
from torch import Tensor

from .build import load_library

_LOADED_IN = os.getpid()
_SUFFIXES = {torch.float32: 'float', torch.float64: 'double', torch.bfloat16: 'bfloat16'}


def num_threads() -> int:
    """Returns how many threads a call may use.

    The library shares torch's OpenMP, whose threads do not survive a fork: a forked child, such
    as a worker of a DataLoader, computes alone.
    """
    return torch.get_num_threads() if os.getpid() == _LOADED_IN else 1


def call(name: str, dtype: torch.dtype, *arguments: object) -> None:
    """Calls the compiled function `name` in its version for float32, float64 or bfloat16.

    Tensors are passed as pointers, None as a null pointer, structures by reference, tuples
    (strides) as arrays of int64, int as int64 and float as double.
    """
    function = getattr(load_library(), f'{name}_{_SUFFIXES[dtype]}')
    function(*(_as_c(argument) for argument in arguments))


def strided(*tensors: Tensor) -> tuple[Tensor | tuple[int, ...], ...]:
    """Returns each tensor followed by its strides, as `call` passes them."""
    return tuple(item for tensor in tensors for item in (tensor, tensor.stride()))


def contiguous_channels(x: Tensor) -> Tensor:
    """Returns `(B, L, D)` with neighbouring channels, which most tensors of a mixer have."""
    return x if x.stride(2) == 1 else x.contiguous()


def _as_c(argument: object) -> object:
    match argument:
        case Tensor():
            return ctypes.c_void_p(argument.data_ptr())
        case ctypes.Structure():
            return ctypes.byref(argument)
        case None:
            return None
        case tuple():
            return (ctypes.c_int64 * len(argument))(*argument)
        case int():
            return ctypes.c_int64(argument)
        case float():
            return ctypes.c_double(argument)
    raise TypeError(f'cannot be passed to C: {argument!r}')
