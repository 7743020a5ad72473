"""Reads and writes checkpoint files as data: nothing in a file is ever executed.

Files that MMEngine is to load afterwards go through `read_checkpoint`, which is as strict as
MMEngine's own safe loading. Files of the released implementation go through `read_weights`, which
knows what they hold beside weights.
"""

import json
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..utils.errors import InputError
from ..utils.files import replacing


class _PlainDict:
    """Stands for a dict class: an ordinary dict is made instead."""

    def __new__(cls, *args: Any) -> Any:
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
    """Returns what a checkpoint of MMEngine holds, or a `.safetensors` file, in CPU memory.

    Raises:
        InputError: If the file does not exist, is cut short, is no checkpoint, or holds more than
            tensors, plain containers and MMEngine's logs.
    """
    from mmengine.runner.checkpoint import get_torch_safe_globals

    return _read(Path(path), get_torch_safe_globals())


class Weights(NamedTuple):
    """Weights in a checkpoint of any program.

    Attributes:
        tensors: The weights, in the order and the class of dict of the file.
        key: Where they were, 'model' or 'state_dict'; None for a file of nothing but weights.
        rest: What else the file holds, objects other than tensors and plain containers empty.
    """

    tensors: dict[str, Tensor]
    key: str | None
    rest: dict


def read_weights(path: str | Path, ema: bool = False) -> Weights:
    """Reads the weights in a checkpoint of any program.

    Args:
        path: A file with the weights under 'model' (released classifiers, averaged weights under
            'model_ema') or 'state_dict' (MMEngine), or with nothing but weights.
        ema: Whether to take the averaged weights.

    Raises:
        InputError: If the file cannot be read or does not hold such weights.
    """
    stand_ins = [(_PlainDict, name) for name in DICT_CLASSES]
    checkpoint = _read(Path(path), stand_ins + [(_Inert, name) for name in OTHER_NAMES])
    keys = ('model_ema',) if ema else ('model', 'state_dict')
    key = next((key for key in keys if isinstance(checkpoint.get(key), dict)), None)
    if key is not None:
        weights = checkpoint.pop(key)
    elif ema:
        raise InputError(f"{path}: no averaged weights, expected them under 'model_ema'")
    else:
        weights, checkpoint = checkpoint, {}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        found = ', '.join(map(str, list(weights)[:5])) or 'nothing'
        raise InputError(
            f"{path}: no weights, expected them under 'model' or 'state_dict'; found {found}"
        )
    return Weights(_without_prefix(weights), key, checkpoint)


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes out what DistributedDataParallel puts before the names."""
    if not any(name.startswith('module.') for name in weights):
        return weights
    return {name.removeprefix('module.'): weight for name, weight in weights.items()}


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint: weights alone, or weights under 'state_dict' with their 'meta'.

    A `.safetensors` file holds `meta` as JSON.
    """
    with replacing(path) as unfinished:
        if path.suffix != '.safetensors':
            torch.save(checkpoint, unfinished)
            return
        from safetensors.torch import save_file

        weights = checkpoint.get('state_dict', checkpoint)
        header = {'meta': json.dumps(checkpoint['meta'])} if 'meta' in checkpoint else {}
        tensors = {name: weight.contiguous() for name, weight in weights.items()}
        save_file(tensors, unfinished, {'format': 'pt', **header})
        _sort_metadata(unfinished)


def _sort_metadata(path: Path) -> None:
    """Makes equal files of equal weights: safetensors writes its metadata in any order.

    The file begins with the length of a JSON text, in 8 bytes, and the text, padded with spaces.
    """
    with path.open('r+b') as file:
        length = int.from_bytes(file.read(8), 'little')
        header = json.loads(file.read(length))
        header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
        text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))


def _read(path: Path, known: Iterable) -> dict[str, Any]:
    """Reads a file in which the known classes and functions may occur."""
    if not path.is_file():
        raise InputError(f'checkpoint {path}: no such file')
    try:
        if path.suffix == '.safetensors':
            return _read_safetensors(path)
        with torch.serialization.safe_globals(list(known)):
            content = torch.load(
                path, map_location='cpu', weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:  # every file format fails in its own way
        found = f'checkpoint {path} ({path.stat().st_size} bytes)'
        raise InputError(f'{found}: {_why_unreadable(path, str(error))}') from error
    if not isinstance(content, dict):
        raise InputError(
            f'checkpoint {path}: holds no weights; expected a dict, found {type(content).__name__}'
        )
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, framework='pt') as file:
        weights = {name: file.get_tensor(name) for name in file.offset_keys()}
        meta = (file.metadata() or {}).get('meta')
    return {'state_dict': weights, 'meta': json.loads(meta)} if meta else weights


def _why_unreadable(path: Path, error: str) -> str:
    refused = re.search(r'GLOBAL (\S+)', error)
    if refused:
        return (
            f'refused, because it holds {refused[1]}; expected tensors and plain containers alone'
        )
    if path.suffix == '.safetensors':
        return 'cannot be read; it is cut short or no safetensors file, copy or download it again'
    with path.open('rb') as file:
        is_archive = file.read(2) == b'PK'
    if is_archive and not zipfile.is_zipfile(path):
        return 'cannot be read; it is cut short, copy or download it again'
    return 'cannot be read; expected a PyTorch checkpoint of tensors and plain containers'
