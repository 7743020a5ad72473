"""The state of an encoder between two pieces of a sequence, and its tensors by name."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor


class SequenceState(NamedTuple):
    """What an encoder knows of the tokens so far.

    Attributes:
        position: How many there were, `()`, int64.
        blocks: What the mixer of each block has kept of them, a named tuple each.
    """

    position: Tensor
    blocks: tuple[Any, ...]


def named_tensors(record: tuple, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    """Yields all tensors of nested tuples with names such as `blocks.0.scan`."""
    for name, value in _items(record):
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, tuple):
            yield from named_tensors(value, f'{prefix}{name}.')


def with_tensors(record: tuple, tensors: Mapping[str, Tensor], prefix: str = '') -> Any:
    """Returns a record like the given one whose tensors are others, by their names."""
    values = [
        tensors[prefix + name]
        if isinstance(value, Tensor)
        else with_tensors(value, tensors, f'{prefix}{name}.')
        if isinstance(value, tuple)
        else value
        for name, value in _items(record)
    ]
    return type(record)(*values) if hasattr(record, '_fields') else tuple(values)


def _items(record: tuple) -> Iterator[tuple[str, Any]]:
    names = getattr(record, '_fields', map(str, range(len(record))))
    return zip(names, record, strict=True)
