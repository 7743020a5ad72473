"""Classifiers of ImageNet-22K that answer in the classes of ImageNet-1K."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..utils.errors import InputError


def read_class_map(path: Path) -> list[int]:
    """Reads a text file with a line for each new class: its row in the old classifier, from 0.

    Raises:
        InputError: If the file does not exist, is empty, or has a line that is no such number.
    """
    if not path.is_file():
        raise InputError(f'class map {path}: no such file')
    try:
        lines = path.read_text(encoding='utf-8').split()
    except UnicodeDecodeError as error:
        raise InputError(f'class map {path}: expected a text file') from error
    for number, line in enumerate(lines, start=1):
        if not (line.isascii() and line.isdigit()):
            raise InputError(
                f'class map {path}: entry {number}: expected the index of a row, found {line!r}'
            )
    if not lines:
        raise InputError(f'class map {path}: empty; expected the index of a row on each line')
    return list(map(int, lines))


def select_classes(weights: Mapping[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Keeps some rows of the last layer of both classifiers of a `DefocusClsHead`.

    Args:
        weights: Names and weights of a classifier of this project.
        rows: For each new class its row among the old ones.

    Raises:
        ValueError: If there is no classifier, or a row does not exist.
    """
    layer = '.2' if 'head.fc.0.weight' in weights else ''
    if f'head.fc{layer}.weight' not in weights:
        raise ValueError(f'class map: expected a classifier, found no head.fc{layer}.weight')
    selected = dict(weights)
    for head in ('head.fc', 'head.aux_fc'):
        for leaf in ('weight', 'bias'):
            name = f'{head}{layer}.{leaf}'
            if name not in weights:
                continue
            if max(rows) >= len(weights[name]):
                raise ValueError(
                    f'class map: row {max(rows)}, but {name} has {len(weights[name])} rows from 0'
                )
            selected[name] = weights[name][torch.tensor(rows)]
    return selected
