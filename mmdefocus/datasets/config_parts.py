"""What a config says about a dataset, whether it is wrapped or not, named or given as a class."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..utils.checkpoint_meta import classes_of
from ..utils.errors import InputError
from .by_name import check_classes, listed


def type_name(kind: object) -> str:
    """Returns the name of a type of a config, without its scope; new-style configs hold classes."""
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')


def leaves(dataset: Mapping) -> Iterator[Mapping]:
    """Yields a dataset of a config, or those inside it if it wraps others."""
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    if inner == [None]:
        yield dataset
    else:
        for child in inner:
            yield from leaves(child)


def declared_classes(dataset: Mapping) -> tuple[str, ...] | None:
    """Returns the class names that a config gives to a dataset, None if it gives none.

    Raises:
        InputError: If they are no sequence of names. A text may be the name of a file with one
            on each line, as in MMEngine.
    """
    given = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes')
    if given is None:
        return None
    if isinstance(given, str) and os.path.isfile(given):
        given = [name for name in Path(given).read_text(encoding='utf-8').split('\n') if name]
    return check_classes('dataset', given)


def compare_classes(
    path: str, checkpoint: Mapping, where: str, names: Sequence[str] | None
) -> None:
    """Checks that a checkpoint was trained on the classes of a dataset, in their order.

    Nothing is compared where the checkpoint or the config does not name its classes.

    Args:
        path: The file, for the message.
        checkpoint: What it holds.
        where: Key of the dataset, for the message.
        names: Names of its classes.

    Raises:
        InputError: Names the classes of both, or those of the checkpoint are no names.
    """
    trained = classes_of(checkpoint, path)
    if names and trained and trained != tuple(names):
        raise InputError(
            f'checkpoint {path}: trained on classes {listed(trained)}, but those of {where} '
            f'are {listed(tuple(names))}; give the dataset metainfo.classes as they were in '
            "training, and type 'CocoByName' or 'FoldersByName'"
        )
