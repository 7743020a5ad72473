"""Writes pairs as tar shards in LAION's layout, or as files with a list."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ...utils.errors import InputError
from ...utils.pictures import write_picture

PAIRS_OF_A_SHARD = 1000
JPEG_QUALITY = 95


def write_shards(
    folder: Path, name: str, pairs: Sequence[tuple[np.ndarray, str]], size: int = PAIRS_OF_A_SHARD
) -> list[Path]:
    """Writes pairs as `name-0000.tar` and so on, each pair as `KEY.jpg`, `KEY.txt` and `KEY.json`.

    The keys are the numbers of the pairs. The same pairs give the same bytes.

    Args:
        folder: Where the shards go; it exists.
        name: What their names begin with.
        pairs: Images, BGR uint8 `(H, W, 3)`, with their captions.
        size: Pairs of a shard; the last one has the rest.

    Returns:
        The shards, in their order.

    Raises:
        InputError: If there is no pair, or `size` is not positive.
    """
    if not pairs or size < 1:
        raise InputError(
            f'shards: expected pairs and a size of 1 or more, got {len(pairs)}, {size}'
        )
    paths = []
    for first in range(0, len(pairs), size):
        paths.append(folder / f'{name}-{first // size:04d}.tar')
        with tarfile.open(paths[-1], 'w') as tar:
            for number, (image, caption) in enumerate(pairs[first : first + size], first):
                _add(tar, f'{number:08d}', image, caption)
    return paths


def write_list(
    folder: Path,
    name: str,
    pairs: Sequence[tuple[np.ndarray, str]],
    labels: Sequence[int | None] | None = None,
) -> Path:
    """Writes pairs as `name/00000.png` and so on, with the list `name.json` for `ImageTextPairs`.

    Args:
        folder: Where both go; it exists.
        name: Of the folder of images and of the list.
        pairs: Images, BGR uint8 `(H, W, 3)`, with their captions.
        labels: The class of each pair, None for a pair that has none.

    Returns:
        The list.

    Raises:
        OSError: If a file cannot be written.
    """
    (folder / name).mkdir()
    rows = []
    for number, (image, caption) in enumerate(pairs):
        file = f'{name}/{number:05d}.png'
        write_picture(folder / file, image)
        row: dict = {'image': file, 'caption': caption}
        if labels is not None and labels[number] is not None:
            row['label'] = labels[number]
        rows.append(row)
    path = folder / f'{name}.json'
    path.write_text(json.dumps(rows, indent=1))
    return path


def _add(tar: tarfile.TarFile, key: str, image: np.ndarray, caption: str) -> None:
    jpeg = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()
    about = json.dumps({'caption': caption, 'key': key}).encode()
    for suffix, data in (('jpg', jpeg), ('txt', caption.encode()), ('json', about)):
        member = tarfile.TarInfo(f'{key}.{suffix}')
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
