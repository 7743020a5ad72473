"""Classes are told apart by their names, never by the order in which a file or folder has them."""

import difflib
from collections.abc import Iterable, Sequence

from ..utils.errors import InputError

MOST_NAMES = 5  # in a message


def check_classes(where: str, classes: object) -> tuple[str, ...]:
    """Returns the names of classes as a tuple.

    Args:
        where: What has them, for the message.
        classes: A sequence of different names.

    Raises:
        InputError: If it is something else, such as a text, whose letters would become classes.
    """
    if isinstance(classes, str):
        raise InputError(
            f"{where}: classes: expected names, got the text {classes!r}; write ('{classes}',)"
        )
    if not isinstance(classes, Sequence) or not classes:
        raise InputError(f'{where}: classes: expected names, got {classes!r}')
    for name in classes:
        if not isinstance(name, str):
            raise InputError(f'{where}: classes: expected names, got {name!r} among them')
    if repeated := sorted({name for name in classes if classes.count(name) > 1}):
        raise InputError(f'{where}: classes: {listed(repeated)} more than once')
    return tuple(classes)


def require_names(where: str, kind: str, wanted: Iterable[str], found: Iterable[str]) -> None:
    """Checks that all wanted names are among those found.

    Args:
        where: The file or folder, for the message.
        kind: What its names are names of, such as 'category'.
        wanted: Names that must be there.
        found: Names that are there.

    Raises:
        InputError: Names those that are not, and what they may be.
    """
    found = list(found)
    absent = [name for name in wanted if name not in found]
    if absent:
        raise InputError(
            f'{where}: no {kind} {listed(absent)}{closest(absent, found)}; it has {listed(found)}; '
            'write the names in `classes` of the config as they are there'
        )


def closest(names: Iterable[str], valid: Sequence[str]) -> str:
    """Returns '; nearest: a, b' with what the names may be, whatever their case, or nothing."""
    by_lower = {name.lower(): name for name in valid}
    near = []
    for name in names:
        near += difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f'; nearest: {listed([by_lower[name] for name in near])}' if near else ''


def listed(names: Sequence[str]) -> str:
    """Returns the first names, quoted, and how many there are if that is not all."""
    shown = ', '.join(map(repr, names[:MOST_NAMES]))
    rest = len(names) - MOST_NAMES
    return f'{shown} and {rest} more' if rest > 0 else shown
