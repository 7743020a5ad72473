"""The format of PyTorch before 1.6: pickles in a row, with the numbers of all storages behind.

It has no checksums. Sizes are compared with the file; changed numbers cannot be noticed.
"""

import mmap
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..utils.errors import InputError
from .pickle_data import read_pickle
from .pickle_names import DTYPES, Storage
from .zip_archive import tensor_in

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
START = b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'


def is_legacy(path: Path) -> bool:
    """Tells whether a file begins as the old format does."""
    with path.open('rb') as file:
        return file.read(len(START)) == START


def read_legacy(path: Path) -> Any:
    """Reads a file of the old format.

    Raises:
        InputError: If the file is cut short, or holds more than data.
        ValueError: If a pickle in it is cut short.
    """
    with path.open('rb') as file:
        return read_stream(file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def read_stream(file: BinaryIO, content: mmap.mmap | bytearray) -> Any:
    """Reads what is open and in memory, see `read_legacy`; tensors share the memory."""
    head = [read_pickle(file, no_storage) for _ in range(3)]
    if head[:2] != [MAGIC_NUMBER, PROTOCOL] or head[2].get('little_endian') is not True:
        raise InputError('cannot be read; expected a PyTorch checkpoint')
    start = file.tell()
    sizes = _storages_of(file)
    keys = read_pickle(file, no_storage)
    storages = _find_numbers(file, content, keys, sizes)
    file.seek(start)
    return read_pickle(file, lambda kind, key, count: storages[key])


def _storages_of(file: BinaryIO) -> dict[str, tuple[torch.dtype, int]]:
    """Reads the pickle of tensors for what its storages are; their numbers come behind it."""
    found: dict[str, tuple[torch.dtype, int]] = {}

    def note(kind: str, key: str, count: int) -> Storage:
        entry = (DTYPES[kind], count)
        if found.setdefault(key, entry) != entry or not 0 <= count < 2**48:
            raise InputError(f'cannot be read; its storage {key:.40} has two types or sizes')
        return Storage(torch.empty(count, dtype=entry[0], device='meta'))

    read_pickle(file, note)
    return found


def _find_numbers(
    file: BinaryIO,
    content: mmap.mmap | bytearray,
    keys: Any,
    sizes: dict[str, tuple[torch.dtype, int]],
) -> dict[str, Storage]:
    if not isinstance(keys, list) or sorted(keys) != sorted(sizes):
        raise InputError('cannot be read; it lacks storages')
    start = file.tell()
    storages = {}
    for key in keys:
        dtype, count = sizes[key]
        end = start + 8 + count * dtype.itemsize
        if int.from_bytes(content[start : start + 8], 'little') != count or end > len(content):
            raise InputError('cannot be read; it is cut short, copy or download it again')
        storages[key] = Storage(tensor_in(content, start + 8, count, dtype))
        start = end
    return storages


def no_storage(*_: Any) -> Storage:
    """Refuses a tensor where there can be none.

    Raises:
        InputError: Always.
    """
    raise InputError('cannot be read; expected a PyTorch checkpoint')
