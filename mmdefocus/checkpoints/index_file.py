"""Checkpoints of several files, as Hugging Face writes them, with an index of their weights.

The index is JSON, its name ends in `.index.json`, and the files lie beside it.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..utils.errors import InputError

SUFFIX = '.index.json'
WEIGHT_MAP = 'weight_map'


def read_index(path: Path, read: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Reads all weights that an index names.

    Args:
        path: The index.
        read: Reads one file of weights.

    Returns:
        The weights, in the order of the index.

    Raises:
        InputError: If the index is something else, a file is not beside it, or the files do not
            hold what the index says.
    """
    try:
        index = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise InputError('cannot be read; expected an index of JSON') from error
    places = index.get(WEIGHT_MAP) if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(p, str) for p in places.values()):
        raise InputError(f'cannot be read; expected an index with a {WEIGHT_MAP!r}')
    pieces: dict[str, Mapping[str, Any]] = {}
    for name in sorted(set(places.values())):
        if name in ('', '.', '..') or any(sign in name for sign in '/\\\0'):
            raise InputError(f'refused, because it names {name!r:.80}; expected a file beside it')
        pieces[name] = read(path.parent / name)
        named = {weight for weight, place in places.items() if place == name}
        if differing := named.symmetric_difference(pieces[name]):
            raise InputError(
                f'cannot be read; {name} does not hold what it should, such as '
                f'{min(map(str, differing)):.80}; copy or download both again'
            )
    return {weight: pieces[place][weight] for weight, place in places.items()}
