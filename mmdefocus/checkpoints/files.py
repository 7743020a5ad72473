"""Reads and writes checkpoint files as data: nothing in a file is ever executed.

Every checkpoint that this project reads, or lets MMEngine read, passes `read_checkpoint` or
`read_weights`. There is no other way, and none that trusts a file more.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..utils.errors import InputError, one_line
from ..utils.files import replacing
from .digest import add_digest
from .download import is_remote, local_file
from .index_file import SUFFIX, read_index
from .legacy_file import is_legacy, read_legacy
from .safetensors_file import read_safetensors, write_safetensors
from .weights import check_finite
from .zip_archive import is_archive, read_archive


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Returns what a `.pth` or `.safetensors` file holds, in CPU memory.

    Args:
        path: A local file, or an address, which is fetched; see `local_file`. The local index of a
            checkpoint of several files, `….index.json`, stands for all of them. A fetched file that
            cannot be used, such as the page of an error, is not kept.

    Raises:
        InputError: If the file does not exist, is damaged, is no checkpoint, or holds more than
            tensors, plain containers and MMEngine's logs.
    """
    file = local_file(path)
    if not is_remote(path):
        return _read_file(file, file)
    try:
        return _read_file(file, path)
    except InputError as error:
        if isinstance(error.__cause__, (OSError, MemoryError)):  # which is no fault of the file
            raise
        file.unlink(missing_ok=True)
        raise InputError(
            f'{error}; what was fetched is deleted: check the address, then try again'
        ) from error


def _read_file(path: Path, name: str | Path) -> dict[str, Any]:
    """Reads a file, which has another name in messages."""
    if path.is_dir():
        raise InputError(f'checkpoint {name}: {_folder_of_pieces(path)}')
    if not path.is_file():
        raise InputError(f'checkpoint {name}: no such file')
    found = f'checkpoint {name} ({path.stat().st_size} bytes)'
    try:
        content = _reader(path)(path)
    except InputError as error:
        raise InputError(f'{found}: {one_line(error)}') from error
    except OSError as error:
        raise InputError(f'{found}: cannot be read: {error.strerror}') from error
    except Exception as error:  # a damaged file fails in many ways
        raise InputError(f'{found}: cannot be read; it is damaged or no checkpoint') from error
    if not isinstance(content, dict):
        raise InputError(
            f'checkpoint {name}: holds no weights; expected a dict, got {type(content).__name__}'
        )
    return content


class Weights(NamedTuple):
    """Weights in a checkpoint of any program.

    Attributes:
        tensors: The weights, in the order and the class of dict of the file.
        key: Where they were, 'model' or 'state_dict'; None for a file of nothing but weights.
        rest: What else the file holds.
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
    checkpoint = read_checkpoint(path)
    keys = ('model_ema',) if ema else ('model', 'state_dict')
    key = next((key for key in keys if isinstance(checkpoint.get(key), dict)), None)
    if key is not None:
        weights = checkpoint.pop(key)
    elif ema:
        raise InputError(f"{path}: no averaged weights, expected them under 'model_ema'")
    else:
        weights, checkpoint = checkpoint, {}
    plain = all(isinstance(n, str) and isinstance(w, Tensor) for n, w in weights.items())
    if not weights or not plain:
        found = ', '.join(map(str, list(weights)[:5])) or 'nothing'
        raise InputError(
            f"{path}: no weights, expected them under 'model' or 'state_dict'; found {found}"
        )
    check_finite(weights, path)
    return Weights(_without_prefix(weights), key, checkpoint)


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes out what DistributedDataParallel puts before the names."""
    if not any(name.startswith('module.') for name in weights):
        return weights
    return {name.removeprefix('module.'): weight for name, weight in weights.items()}


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path, digest: bool = True) -> None:
    """Writes a checkpoint: weights alone, or weights under 'state_dict' with their 'meta'.

    Args:
        checkpoint: What to write. A `.safetensors` file holds `meta` as JSON.
        path: A `.pth` or `.safetensors` file.
        digest: Whether the file tells readers of this project what it has to hold.
    """
    with replacing(path) as unfinished:
        if path.suffix == '.safetensors':
            write_safetensors(checkpoint, unfinished, digest)
        else:
            torch.save(checkpoint, unfinished)
            if digest:
                seal(unfinished)


def seal(path: Path) -> None:
    """Adds the digest to an archive that PyTorch has just written, and reads it back.

    Raises:
        InputError: If the file does not hold what was written, or holds more than data.
    """
    add_digest(path)
    read_checkpoint(path)


def _reader(path: Path) -> Callable[[Path], Any]:
    """Returns the reader of the format of a file."""
    if path.name.endswith(SUFFIX):
        return lambda path: read_index(path, read_checkpoint)
    if path.suffix.lower() == '.safetensors':
        return read_safetensors
    if is_archive(path):
        return read_archive
    if is_legacy(path):
        return read_legacy
    raise InputError(
        'cannot be read; expected a PyTorch checkpoint of tensors and plain containers'
    )


def _folder_of_pieces(path: Path) -> str:
    """Says what to do with a folder in the place of a checkpoint."""
    if indices := sorted(path.glob(f'*{SUFFIX}')):
        return f'expected a file, got a folder; give {indices[0]}'
    if (weights := path / 'mp_rank_00_model_states.pt').is_file():
        return (
            'expected a file, got a folder of DeepSpeed, whose trainings cannot be resumed; start '
            f'from its weights: load_from={weights}'
        )
    return (
        'expected a file, got a folder, as sharded trainings write them; save with '
        "strategy.state_dict_cfg='full'"
    )
