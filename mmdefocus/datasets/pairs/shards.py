"""Pairs in tar shards of webdataset, in LAION's layout."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import get_dist_info
from torch.utils.data import Dataset

from ...registry import DATASETS
from ...utils.errors import InputError
from .broken import BrokenSamples
from .index import IndexFile, check_shard, index_file, read_samples

RANGE = re.compile(r'\{(\d+)\.\.(\d+)\}')


@DATASETS.register_module()
class ImageTextShards(Dataset):
    """Images with captions, read out of tar shards by an index of their members.

    The shards are those of webdataset, the access is by number: a sampler decides on the order,
    from seed and epoch, and a run that is resumed in the middle of an epoch goes on with the next
    sample. webdataset itself streams shards through a buffer, whose content would be lost.
    `ShardSampler` is the one for many shards.

    Args:
        shards: Names of the shards in `data_root`; `{00000..00041}` stands for all numbers between.
        data_root: Folder of the shards; names that lead out of it are refused.
        pipeline: Transforms; they get `img_bytes`, `img_path` (shard and key) and `caption`.
        metainfo: As in MMEngine.
        index_root: Folder of the indices, by default `index` in `data_root`.
        max_broken: How many broken samples may be left out, see `BrokenSamples`.

    Raises:
        InputError: If a shard is missing or no tar file, none holds a pair, or too many samples
            are incomplete.
    """

    def __init__(
        self,
        shards: str | Sequence[str],
        data_root: str,
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping | None = None,
        index_root: str | None = None,
        max_broken: int = 0,
    ) -> None:
        self.metainfo = dict(metainfo or {})
        self.broken = BrokenSamples(max_broken)
        self.pipeline = Compose(pipeline)
        self.paths = _shard_paths(shards, Path(data_root))
        folder = Path(index_root) if index_root else Path(data_root, 'index')
        self.indices = _index_files(self.paths, folder)
        for path, index in zip(self.paths, self.indices, strict=True):
            for reason, count in index.left_out.items():
                self.broken.add(f'{path}: {count} x {reason}', count)
        self.ends = np.cumsum([index.length for index in self.indices])
        if len(self) == 0:
            raise InputError(f'{data_root}: no pairs in {len(self.paths)} shards')

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> dict:
        return self.broken.first_whole(self.read, index, len(self))

    def read(self, index: int) -> dict:
        """Returns a sample through the pipeline.

        Raises:
            InputError: If it is broken; names shard and key.
        """
        shard = int(np.searchsorted(self.ends, index, side='right'))
        first = int(self.ends[shard - 1]) if shard else 0
        sample = read_samples(self.indices[shard].path)[index - first]
        path = f'{self.paths[shard]}/{sample["key"].decode(errors="replace")}'
        with self.paths[shard].open('rb') as file:
            image, text = (_read(file, *sample[part]) for part in ('image', 'caption'))
        caption = _caption(text, bool(sample['is_json']), path)
        return self.pipeline({'img_bytes': image, 'img_path': path, 'caption': caption})


def _index_files(paths: list[Path], folder: Path) -> list[IndexFile]:
    """Returns the indices of shards.

    Each process begins at a shard of its own and goes round, past those that others have done in
    the meantime: together they read each shard about once.
    """
    for path in paths:
        check_shard(path)
    rank, world_size = get_dist_info()
    first = len(paths) * rank // world_size
    found = {path: index_file(path, folder) for path in paths[first:] + paths[:first]}
    return [found[path] for path in paths]


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _caption(data: bytes, is_json: bool, path: str) -> str:
    try:
        text = data.decode()
        caption = json.loads(text).get('caption') if is_json else text
    except (AttributeError, ValueError) as error:
        raise InputError(f'{path}: the caption cannot be read: {error}') from error
    if not isinstance(caption, str) or not caption.strip():
        raise InputError(f'{path}: empty caption; expected some text')
    return caption


def _shard_paths(shards: str | Sequence[str], root: Path) -> list[Path]:
    patterns = [shards] if isinstance(shards, str) else list(shards)
    paths = [root / name for pattern in patterns for name in _expand(pattern)]
    for path in paths:
        if not path.resolve().is_relative_to(root.resolve()):
            raise InputError(f'shards: expected names in {root}, got {path}')
    if not paths:
        raise InputError('shards: expected the name of a shard, got none')
    return paths


def _expand(pattern: str) -> list[str]:
    """Returns the names that a pattern with `{first..last}` stands for."""
    match = RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    numbers = range(int(first), int(last) + 1)
    return [
        f'{pattern[: match.start()]}{n:0{len(first)}d}{pattern[match.end() :]}' for n in numbers
    ]
