"""The `.safetensors` format: a header of JSON and the numbers of all tensors, without gaps.

The file begins with the size of the header, in 8 bytes. The format has no checksums; files that
this project writes have a digest in their metadata, which is compared when they are read.
"""

import json
import math
import mmap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..utils.errors import InputError
from .digest import records_digest
from .zip_archive import tensor_in

DIGEST = 'mmdefocus.sha256'
META = 'meta'
MAX_HEADER = 100_000_000  # bytes, as in the safetensors library
DTYPES = {
    'F64': torch.float64,
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
    'I32': torch.int32,
    'I16': torch.int16,
    'I8': torch.int8,
    'U8': torch.uint8,
    'BOOL': torch.bool,
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}


def read_safetensors(path: Path) -> dict[str, Any]:
    """Reads a file; its numbers stay there until they are used.

    Returns:
        The weights, in the order of the file; with the `meta` of this project, if there is one,
        under 'state_dict' and 'meta'.

    Raises:
        InputError: If the file is damaged, or holds what is no tensor.
    """
    with path.open('rb') as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(content[:8], 'little')
    if not 8 < start <= min(len(content), MAX_HEADER):
        raise _damaged()
    header = json.loads(content[8:start], object_pairs_hook=_unique)
    metadata = header.pop('__metadata__', {})
    if not all(isinstance(text, str) for text in metadata.values()):
        raise _damaged()
    weights, end = {}, start
    for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        weights[name], end = _read_tensor(content, start, end, name, entry)
    if end != len(content):
        raise _damaged()
    if metadata.get(DIGEST, digest := _digest(weights, metadata)) != digest:
        raise InputError('cannot be read; its weights are not those that were written')
    if META not in metadata:
        return weights
    meta = json.loads(metadata[META])
    if not isinstance(meta, dict):
        raise InputError(f'cannot be read; expected {META} to be a dict, got {meta!r:.80}')
    return {'state_dict': weights, 'meta': meta}


def write_safetensors(checkpoint: Mapping[str, Any], path: Path, digest: bool = True) -> None:
    """Writes the weights of a checkpoint and, as JSON, its `meta`; see `write_checkpoint`.

    Equal checkpoints make equal files: metadata, which the library writes in any order, is sorted.

    Raises:
        InputError: If `meta` holds what JSON does not know, or a weight is of a type that the
            format does not.
    """
    from safetensors.torch import save_file

    metadata = {'format': 'pt'}
    if META in checkpoint:
        metadata[META] = _json(checkpoint[META])
    weights = _unshared(checkpoint.get('state_dict', checkpoint))
    if digest:
        metadata[DIGEST] = _digest(weights, metadata)
    path.touch()
    mode = path.stat().st_mode  # that of any new file, which the library does not give
    save_file(weights, path, metadata)
    path.chmod(mode)
    with path.open('r+b') as file:
        length = int.from_bytes(file.read(8), 'little')
        header = json.loads(file.read(length))
        header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
        text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))


def _json(meta: Any) -> str:
    try:
        return json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise InputError(
            f'{META} is not written as .safetensors: {error}; expected texts, numbers, lists and '
            'dicts of them, write a .pth file'
        ) from error


def _read_tensor(
    content: mmap.mmap, start: int, end: int, name: str, entry: Mapping[str, Any]
) -> tuple[Tensor, int]:
    """Reads the tensor that begins where the one before has ended; returns where it ends."""
    code, shape, (first, last) = entry['dtype'], entry['shape'], entry['data_offsets']
    if code not in DTYPES:
        expected = ', '.join(DTYPES)
        raise InputError(f'refused, because {name:.80} is of {code!r:.20}; expected {expected}')
    if not all(type(size) is int and size >= 0 for size in (first, last, *shape)):
        raise _damaged()
    dtype, count = DTYPES[code], math.prod(shape)
    size = count * dtype.itemsize
    if start + first != end or last - first != size or end + size > len(content):
        raise _damaged()
    return tensor_in(content, end, count, dtype).view(shape), end + size


def _digest(weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    records = [
        (f'{name} {_CODES[weight.dtype]} {list(weight.shape)}', weight.nbytes, _checksum(weight))
        for name, weight in weights.items()
    ]
    texts = {name: text.encode() for name, text in metadata.items() if name != DIGEST}
    records += [(f'metadata {name}', len(text), zlib.crc32(text)) for name, text in texts.items()]
    return records_digest(records)


def _checksum(weight: Tensor) -> int:
    numbers = weight.flatten().view(torch.uint8) if weight.numel() else torch.empty(0)
    return zlib.crc32(numbers.numpy())  # type: ignore[arg-type]


def _unshared(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives each weight memory of its own, which the format demands."""
    used: set[int] = set()
    unshared = {}
    for name, weight in weights.items():
        if weight.dtype not in _CODES:
            raise InputError(f'{name} is of {weight.dtype}, which is not written as .safetensors')
        weight = weight.detach().cpu().contiguous()
        address = weight.untyped_storage().data_ptr()
        unshared[name] = weight.clone() if address in used else weight
        used.add(address)
    return unshared


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise _damaged()
    return entries


def _damaged() -> InputError:
    return InputError(
        'cannot be read; it is cut short or no safetensors file, copy or download it again'
    )
