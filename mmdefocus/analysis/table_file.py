"""Files that say which rows tables of results have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..utils.errors import InputError
from .runs import METRICS, is_number


def read_tables(path: Path) -> list[dict]:
    """Reads tables from a YAML file.

    Each has `table`, a title; `baseline`, the name of a config; and `rows`, each with `setting`,
    `config` and, if the paper has it, `paper`. `metrics` are names of `METRICS`, by default top-1,
    of which the first is compared. `cost` is a switch, see `as_markdown`.

    Raises:
        InputError: If the file holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text('utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: no YAML: {error}') from error
    _expect(isinstance(content, list) and content, f'{path}: expected a list of tables', content)
    for number, table in enumerate(content, start=1):
        _check_table(f'{path}: table {number}', table)
    return content


def _check_table(where: str, table: Any) -> None:
    _check_keys(where, table, {'table', 'baseline', 'rows'}, {'metrics', 'cost'})
    _check_texts(where, table, 'table', 'baseline')
    metrics, cost, rows = table.get('metrics', ['top1']), table.get('cost', False), table['rows']
    known = isinstance(metrics, list) and metrics and all(name in list(METRICS) for name in metrics)
    _expect(known, f'{where}: metrics: expected some of {", ".join(METRICS)}', metrics)
    _expect(isinstance(cost, bool), f'{where}: cost: expected true or false', cost)
    _expect(isinstance(rows, list) and rows, f'{where}: rows: expected a list of rows', rows)
    for number, row in enumerate(rows, start=1):
        place = f'{where}: row {number}'
        _check_keys(place, row, {'setting', 'config'}, {'paper'})
        _check_texts(place, row, 'setting', 'config')
        paper = row.get('paper', 0)
        _expect(is_number(paper), f'{place}: paper: expected a number', paper)
    baseline = table['baseline']
    compared = baseline in [row['config'] for row in rows]
    _expect(compared, f'{where}: baseline: expected the config of a row', baseline)


def _check_keys(where: str, node: object, needed: set[str], further: set[str]) -> None:
    _expect(
        isinstance(node, Mapping) and needed <= node.keys() <= needed | further,
        f'{where}: expected {", ".join(sorted(needed))} and at most {", ".join(sorted(further))}',
        list(node) if isinstance(node, Mapping) else node,
    )


def _check_texts(where: str, node: Mapping, *names: str) -> None:
    for name in names:
        message = f'{where}: {name}: expected a text, in quotes if it is a number'
        _expect(isinstance(node[name], str), message, node[name])


def _expect(valid: object, message: str, got: object) -> None:
    if not valid:
        raise InputError(f'{message}, got {got!r:.60}')
