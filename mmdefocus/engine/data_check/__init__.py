"""Checks the data of a config before the first step: what is there, and what is left out."""

import os
import time
from collections.abc import Iterable, Sequence

from mmengine.config import Config
from rich.console import Console

from ...checkpoints.files import read_checkpoint
from ...datasets.config_parts import compare_classes
from ...utils.checkpoint_meta import classes_of
from ...utils.memory import garbage_collection_paused
from .agreement import check_agreement
from .reading import LOADERS, Part, read_loader
from .report import open_images, show

__all__ = ['LOADERS', 'check_datasets', 'check_first_classes', 'check_trained_classes']


def check_datasets(
    cfg: Config, loaders: Iterable[str] = LOADERS, images: bool = False
) -> dict[str, list[Part]]:
    """Reads annotations and folders of some loaders, and prints what is there as a table.

    Only the first of several processes does it. Image files are looked for, not opened.

    Args:
        cfg: The config.
        loaders: Which of its loaders to check; those that it lacks are passed over.
        images: Whether to decode each image and to compare its size with the annotation.

    Returns:
        For each loader its datasets, those inside wrappers one by one.

    Raises:
        InputError: If the data cannot be used as the config says; names file and remedy.
    """
    if os.environ.get('RANK', '0') != '0':
        return {}
    begin, console = time.perf_counter(), Console()
    known: dict[str, Part] = {}
    with garbage_collection_paused():
        found = {name: read_loader(cfg, name, known) for name in loaders if cfg.get(name)}
    show(found, console)
    check_agreement(cfg, found)
    if images:
        open_images(found, console)
    console.print(f'data checked in {time.perf_counter() - begin:.1f} s', highlight=False)
    return found


def check_trained_classes(checkpoint: str, where: str, names: Sequence[str] | None) -> None:
    """Checks that a checkpoint was trained on the classes of a dataset, in their order.

    Nothing is compared where the checkpoint or the config does not name its classes.

    Args:
        checkpoint: Path of the file.
        where: Key of the dataset, for the message.
        names: Names of its classes.

    Raises:
        InputError: Names the classes of both.
    """
    compare_classes(checkpoint, read_checkpoint(checkpoint), where, names)


def check_first_classes(checkpoint: str, where: str, names: Sequence[str] | None) -> None:
    """Checks that a classifier that a training starts from has the classes in the same order.

    Other classes are none of its business: a training may start from those of another dataset.

    Args:
        checkpoint: Path of the file.
        where: Key of the dataset, for the message.
        names: Names of its classes.

    Raises:
        InputError: If both have the same classes in different orders.
    """
    content = read_checkpoint(checkpoint)
    if set(classes_of(content, checkpoint)) == set(names or ()):
        compare_classes(checkpoint, content, where, names)
