"""Reads checkpoints of other programs as data: nothing in the file is executed."""

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError


class _PlainDict:
    """Stands for a dict class: an ordinary dict is made instead."""

    def __new__(cls, *args: Any) -> OrderedDict:
        return OrderedDict()


class _Inert:
    """Stands for any other class or function: takes what the file gives it and keeps nothing."""

    def __new__(cls, *args: Any) -> '_Inert':
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Ignores the state."""


# What released checkpoints hold beside weights: configurations, log histories, numpy arrays.
DICT_CLASSES = ('yacs.config.CfgNode', 'mmengine.config.config.ConfigDict')
OTHER_NAMES = (
    'builtins.getattr',
    'builtins.slice',
    'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy.dtype',
    'numpy.ndarray',
    *(
        f'{module}.{name}'
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for name in ('_reconstruct', 'scalar')
    ),
    *(
        f'numpy.dtypes.{name}DType'
        for name in ('Bool', 'Float32', 'Float64', 'Int32', 'Int64', 'UInt32')
    ),
)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a `.pth` file, or a `.safetensors` file, into CPU memory.

    Objects that are not tensors or plain containers come back empty.

    Raises:
        InputError: If the file does not exist, is truncated, is no checkpoint, or asks for a
            class or function that is not known to be harmless.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    read = _read_safetensors if path.suffix == '.safetensors' else _read_pickle
    try:
        checkpoint = read(path)
    except Exception as error:  # a damaged file may raise anything
        refused = re.search(r'GLOBAL (\S+)', str(error))
        if refused:
            reason = f'refused, because it holds {refused[1]}, which is not data'
        else:
            reason = f'not a checkpoint, or truncated ({str(error).splitlines()[0][:100]})'
        raise InputError(f'{path}: {reason}') from error
    if not isinstance(checkpoint, dict):
        raise InputError(f'{path}: expected a dict, found {type(checkpoint).__name__}')
    return checkpoint


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _read_pickle(path: Path) -> Any:
    stand_ins = [(_PlainDict, name) for name in DICT_CLASSES]
    stand_ins += [(_Inert, name) for name in OTHER_NAMES]
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(path, map_location='cpu', weights_only=True)


def read_weights(path: str | Path, ema: bool = False) -> tuple[dict[str, Tensor], dict]:
    """Returns the weights in a checkpoint, and the rest of it.

    Args:
        path: A file with the weights under 'model' (released classifiers, averaged weights under
            'model_ema') or 'state_dict' (MMEngine), or with nothing but weights.
        ema: Whether to take the averaged weights.

    Raises:
        InputError: If the file cannot be read or does not hold such weights.
    """
    checkpoint = read_checkpoint(path)
    names = ('model_ema',) if ema else ('model', 'state_dict')
    name = next((name for name in names if isinstance(checkpoint.get(name), dict)), None)
    if name is not None:
        weights = checkpoint.pop(name)
    elif ema:
        raise InputError(f"{path}: no averaged weights, expected them under 'model_ema'")
    else:
        weights, checkpoint = checkpoint, {}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        found = ', '.join(map(str, list(weights)[:5])) or 'nothing'
        raise InputError(
            f"{path}: no weights, expected them under 'model' or 'state_dict'; found {found}"
        )
    return {key.removeprefix('module.'): value for key, value in weights.items()}, checkpoint
