"""Where the samples of a tar shard are: an index, made once, that a shard is read by."""

import json
import tarfile
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils.errors import InputError
from ...utils.files import replacing

IMAGES = ('jpg', 'jpeg', 'png', 'webp')
CAPTIONS = ('txt', 'json')  # the first that a sample has is read


class Index(NamedTuple):
    """The samples of a shard.

    Attributes:
        samples: A record each: `key`, the name without the suffix; `image` and `caption`, offset
            and length in bytes in the shard; `is_json`, whether the caption is in a JSON object.
        left_out: How many members belong to no whole sample, by the reason.
    """

    samples: np.ndarray
    left_out: dict[str, int]


class IndexFile(NamedTuple):
    """The index of a shard in a file.

    Attributes:
        path: The file, for `read_samples`.
        length: How many samples there are.
        left_out: As in `Index`.
    """

    path: Path
    length: int
    left_out: dict[str, int]


def check_shard(shard: Path) -> None:
    """Checks that a shard is there.

    Raises:
        InputError: If not.
    """
    if not shard.is_file():
        raise InputError(f'{shard}: no such shard')


def index_file(shard: Path, folder: Path) -> IndexFile:
    """Returns the index of a shard, from its file in `folder`, which is made if it is missing.

    The name of the file has the size and the time of the shard, so that no index outlives it.

    Raises:
        InputError: If the shard does not exist or is no tar file, or the index cannot be written.
    """
    check_shard(shard)
    state = shard.stat()
    path = folder / f'{shard.name}.{state.st_size}-{state.st_mtime_ns}.npz'
    if not path.is_file():
        samples, left_out = scan(shard)
        reasons = json.dumps(left_out)
        try:
            with replacing(path) as unfinished:
                np.savez(unfinished, samples=samples, length=len(samples), left_out=reasons)
        except OSError as error:
            raise InputError(
                f'{path}: cannot be written ({error.strerror}); give the dataset an index_root '
                'that can'
            ) from error
    with np.load(path, allow_pickle=False) as file:
        return IndexFile(path, int(file['length']), json.loads(str(file['left_out'])))


@lru_cache(maxsize=64)
def read_samples(path: Path) -> np.ndarray:
    """Returns the records of an index, see `Index`; those of 64 shards stay in memory."""
    with np.load(path, allow_pickle=False) as file:
        return file['samples']


def scan(shard: Path) -> Index:
    """Reads the headers of a shard in LAION's layout: members of a sample share their key.

    Nothing is extracted: names serve as keys alone. Members that are no plain files, such as links,
    are left out, as are those whose bytes the shard lacks.

    Raises:
        InputError: If it is no tar file.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    left_out: Counter = Counter()
    size = shard.stat().st_size
    try:
        with tarfile.open(shard, 'r:') as tar:
            while (member := _next(tar, left_out)) is not None:
                if member.isdir():
                    continue
                key, _, suffix = member.name.rpartition('.')
                if not member.isreg():
                    left_out['no plain file'] += 1
                elif member.offset_data + member.size > size:
                    left_out['cut short'] += 1
                elif suffix.lower() in (*IMAGES, *CAPTIONS):
                    place = (member.offset_data, member.size)
                    found.setdefault(key, {})[suffix.lower()] = place
    except tarfile.TarError as error:
        raise InputError(f'{shard}: expected a tar file without compression: {error}') from error
    records = []
    for key, members in found.items():
        image = next((members[suffix] for suffix in IMAGES if suffix in members), None)
        caption = next((suffix for suffix in CAPTIONS if suffix in members), None)
        if image is None or caption is None:
            left_out['no image' if image is None else 'no caption'] += 1
            continue
        records.append((key.encode(), image, members[caption], caption == 'json'))
    width = max((len(record[0]) for record in records), default=1)
    pair = ('<i8', 2)
    fields = [('key', f'S{width}'), ('image', *pair), ('caption', *pair), ('is_json', '?')]
    return Index(np.array(records, dtype=fields), dict(left_out))


def _next(tar: tarfile.TarFile, left_out: Counter) -> tarfile.TarInfo | None:
    """Returns the next member; None at the end, where a damaged header is one, too."""
    try:
        return tar.next()
    except tarfile.ReadError:
        left_out['damaged header'] += 1
        return None
