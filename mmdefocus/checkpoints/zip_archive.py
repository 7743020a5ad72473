"""PyTorch's archive of tensors: a zip file whose records are checked before they are used.

The pickle `data.pkl` says which tensors there are; the numbers of each storage are a record
`data/KEY`. Records are not compressed and do not overlap, so no file unfolds to more than its size.
"""

import mmap
import os
import struct
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..utils.errors import InputError
from .digest import read_digest, records_digest
from .pickle_data import read_pickle
from .pickle_names import DTYPES, Storage

LOCAL_HEADER = struct.Struct('<4s5H3I2H')
LOCAL_SIGNATURE = b'PK\x03\x04'


class Record(NamedTuple):
    """Where a record is in the file."""

    name: str
    start: int
    size: int
    checksum: int


def is_archive(path: Path) -> bool:
    """Tells whether a file begins as an archive does."""
    with path.open('rb') as file:
        return file.read(len(LOCAL_SIGNATURE)) == LOCAL_SIGNATURE


def read_archive(path: Path, check_numbers: bool = True) -> Any:
    """Reads an archive; the numbers stay in the file until they are used.

    Args:
        path: The file.
        check_numbers: Whether to compare records with checksums, for which all are read. Without
            it, only what the file says about itself can be used.

    Raises:
        InputError: If the archive is damaged, or holds more than data.
    """
    with path.open('rb') as file:
        # A change of a tensor is not written to the file.
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        records = _find_records(file, content)
    if check_numbers:
        _check_contents(records, content)
        _check_digest(records, content)
    return _read_tensors(records, content)


def _find_records(file: Any, content: mmap.mmap) -> dict[str, Record]:
    """Reads the directory of the archive and compares it with the head of each record."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise InputError(
            'cannot be read; it is cut short or damaged, copy or download it again'
        ) from error
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    records: dict[str, Record] = {}
    end = 0
    for entry in entries:
        name, offset, size = entry.filename, entry.header_offset, entry.file_size
        if '/code/' in name:
            raise InputError('refused, because it holds a TorchScript program; expected weights')
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise InputError(f'refused, because its record {name} is compressed or encrypted')
        head = content[offset : offset + LOCAL_HEADER.size]
        if len(head) < LOCAL_HEADER.size:
            raise _damaged(name)
        signature, *_, name_length, extra_length = LOCAL_HEADER.unpack(head)
        start = offset + LOCAL_HEADER.size
        same_name = content[start : start + name_length] == entry.orig_filename.encode()
        start += name_length + extra_length
        sizes_fit = entry.compress_size == size and start + size <= archive.start_dir
        if signature != LOCAL_SIGNATURE or not same_name or not sizes_fit or offset < end:
            raise _damaged(name)
        end = start + size
        if name in records:
            raise _damaged(name)
        records[name] = Record(name, start, size, entry.CRC)
    folders = {name.partition('/')[0] for name in records}
    if len(folders) != 1:
        raise InputError('cannot be read; expected a PyTorch checkpoint')
    (folder,) = folders
    return {name.removeprefix(f'{folder}/'): record for name, record in records.items()}


def _check_contents(records: dict[str, Record], content: mmap.mmap) -> None:
    """Compares each record with its checksum, in threads."""
    if not any(record.checksum for record in records.values()):
        raise InputError(
            'refused, because it has no checksums; save it again after '
            'torch.serialization.set_crc32_options(True)'
        )

    def is_whole(record: Record) -> bool:
        with memoryview(content) as view:
            return zlib.crc32(view[record.start : record.start + record.size]) == record.checksum

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for record, whole in zip(
            records.values(), pool.map(is_whole, records.values()), strict=True
        ):
            if not whole:
                raise _damaged(record.name)


def _check_digest(records: dict[str, Record], content: mmap.mmap) -> None:
    """Compares all records with the digest that this project writes behind an archive."""
    expected = read_digest(content)
    found = records_digest((name, r.size, r.checksum) for name, r in records.items())
    if expected is not None and expected != found:
        raise InputError('cannot be read; its records are not those that were written')


def _read_tensors(records: dict[str, Record], content: mmap.mmap) -> Any:
    pickled, order = records.get('data.pkl'), records.get('byteorder')
    if pickled is None:
        raise InputError('cannot be read; expected a PyTorch checkpoint')
    if order and content[order.start : order.start + order.size].decode('ascii') != sys.byteorder:
        raise InputError('cannot be read; its numbers are in the byte order of another machine')
    storages: dict[str, tuple[str, Storage]] = {}

    def find_storage(kind: str, key: str, count: int) -> Storage:
        if key not in storages:
            record = records.get(f'data/{key}')
            if record is None or kind not in DTYPES:
                raise InputError(f'cannot be read; it lacks the record data/{key:.40}')
            storages[key] = kind, Storage(_numbers(content, record, DTYPES[kind], count))
        if storages[key][0] != kind:
            raise InputError(f'cannot be read; its record data/{key:.40} has two types')
        return storages[key][1]

    data = content[pickled.start : pickled.start + pickled.size]
    return read_pickle(BytesIO(data), find_storage)


def _numbers(content: mmap.mmap, record: Record, dtype: torch.dtype, count: int) -> Tensor:
    """Returns the numbers of a record, one-dimensional."""
    if record.size != count * dtype.itemsize:
        raise InputError(
            f'cannot be read; its record {record.name} holds {record.size} bytes, expected '
            f'{count} numbers of {dtype.itemsize} bytes'
        )
    return tensor_in(content, record.start, count, dtype)


def tensor_in(content: mmap.mmap | bytearray, start: int, count: int, dtype: torch.dtype) -> Tensor:
    """Returns `count` numbers of a file that is in memory or mapped into it, one-dimensional.

    They are copied only where the file has them at an odd place.
    """
    if not count:
        return torch.empty(0, dtype=dtype)
    if start % dtype.itemsize:
        size = count * dtype.itemsize
        return torch.frombuffer(bytearray(content[start : start + size]), dtype=dtype)
    return torch.frombuffer(content, dtype=dtype, count=count, offset=start)


def _damaged(record: str) -> InputError:
    return InputError(
        f'cannot be read; its record {record:.80} is damaged, copy or download it again'
    )
