"""What a checkpoint says about its weights, under `meta`; a file may hold anything there."""

from collections.abc import Mapping
from typing import Any

from .errors import InputError


def meta_of(checkpoint: Mapping[str, Any], path: object) -> Mapping[str, Any]:
    """Returns the meta of a checkpoint, which is empty if there is none.

    Raises:
        InputError: If it, or `dataset_meta` in it, is no dict.
    """
    meta = _part(checkpoint, 'meta', path)
    _part(meta, 'dataset_meta', path)
    return meta


def classes_of(checkpoint: Mapping[str, Any], path: object) -> tuple[str, ...]:
    """Returns the names of the classes that a checkpoint was trained on, none if it has none.

    Raises:
        InputError: If they are no names, or `meta` has another form.
    """
    dataset = _part(meta_of(checkpoint, path), 'dataset_meta', path)
    names = dataset.get('classes')
    if names is None:
        return ()
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f'checkpoint {path}: its meta has no names as the classes of dataset_meta; expected a '
            f'tuple of texts, got {names!r:.80}; save it with their names'
        )
    return tuple(names)


def _part(node: Mapping[str, Any], key: str, path: object) -> Mapping[str, Any]:
    part = node.get(key)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise InputError(
            f'checkpoint {path}: expected {key} to be a dict, got {type(part).__name__}; save it '
            'without it or as MMEngine does'
        )
    return part
