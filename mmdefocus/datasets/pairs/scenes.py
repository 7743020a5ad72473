"""Scenes with captions, which the miniatures of CLIP are made of, as a data set on the disk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils.errors import InputError
from ...utils.files import folder_beside
from .writing import write_list, write_shards


class CaptionedScene(NamedTuple):
    """A scene with its caption.

    Attributes:
        image: BGR uint8 `(size, size, 3)`.
        caption: What it shows.
        labels: The classes of what it shows, in the order of the caption.
    """

    image: np.ndarray
    caption: str
    labels: tuple[int, ...]


def write_scenes(
    out: Path,
    train: Iterable[CaptionedScene],
    val: Iterable[CaptionedScene],
    texts: dict[str, str] | None = None,
) -> None:
    """Writes a data set whole or not at all.

    `OUT/train-0000.tar` and so on are shards in LAION's layout; `OUT/val.json` lists the scenes in
    `OUT/val/*.png` with their captions, and the label of those that show one thing.

    Args:
        out: Its folder.
        train: Scenes to train with.
        val: Scenes to validate with.
        texts: Other files by their names.

    Raises:
        InputError: If the folder exists.
    """
    if out.exists():
        raise InputError(f'{out}: exists; remove it first')
    with folder_beside(out) as beside:
        folder = beside / 'new'
        folder.mkdir()
        write_shards(folder, 'train', [(scene.image, scene.caption) for scene in train])
        scenes = list(val)
        labels = [scene.labels[0] if len(scene.labels) == 1 else None for scene in scenes]
        write_list(folder, 'val', [(scene.image, scene.caption) for scene in scenes], labels)
        for name, text in (texts or {}).items():
            (folder / name).write_text(text, encoding='utf-8')
        os.replace(folder, out)
