"""Results of trainings as tables: each setting beside the baseline of its table."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..utils.errors import InputError
from .runs import METRICS, Run, by_config
from .significance import holm, welch

Pair = tuple[str, frozenset[str]]  # a metric and the two configs that are compared by it


class P(NamedTuple):
    """The p of a comparison, by itself and adjusted for all comparisons."""

    alone: float
    adjusted: float


def as_markdown(tables: Iterable[Mapping], runs: Iterable[Run]) -> str:
    """Returns tables of the last validations, each row beside the baseline of its table.

    A row has the mean and the deviation of each metric, and the first metric of each run by itself.
    The p of a Welch test follows, and the same adjusted by Holm's procedure for the comparisons of
    all tables; two configs that are compared in several tables count once.

    Args:
        tables: As `read_tables` returns them. Runs of one table have the same number of epochs,
            unless it has `cost: true`, and then a column of minutes.
        runs: The results.

    Raises:
        InputError: If runs of one table differ in their epochs, or lack a metric of it.
    """
    tables, found = list(tables), by_config(runs)
    p_values = _p_values(tables, found)
    return '\n\n'.join('\n'.join(_lines(table, found, p_values)) for table in tables) + '\n'


def metrics_of(table: Mapping) -> list[str]:
    """Returns the names of the metrics of a table, see `read_tables`."""
    return table.get('metrics', ['top1'])


def spread(values: Sequence[float]) -> str:
    """Returns the mean and, of two runs or more, the deviation of the sample."""
    if not values:
        return 'not run'
    mean = f'{statistics.fmean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def _p_values(tables: Iterable[Mapping], found: Mapping[str, Sequence[Run]]) -> dict[Pair, P]:
    """Returns the p of all comparisons that have one."""
    alone: dict[Pair, float] = {}
    for table in tables:
        base = _last(table, table['baseline'], found)
        for row in table['rows']:
            p = welch(_last(table, row['config'], found), base)
            if p is not None and row['config'] != table['baseline']:
                alone[_pair(table, row)] = p
    adjusted = holm(list(alone.values()))
    return {pair: P(p, q) for (pair, p), q in zip(alone.items(), adjusted, strict=True)}


def _pair(table: Mapping, row: Mapping) -> Pair:
    return metrics_of(table)[0], frozenset((row['config'], table['baseline']))


def _last(table: Mapping, config: str, found: Mapping[str, Sequence[Run]]) -> list[float]:
    """Returns the last validations of a config, in the metric that a table compares."""
    return [run.last(metrics_of(table)[0]) for run in found.get(config, ())]


def _lines(
    table: Mapping, found: Mapping[str, Sequence[Run]], p_values: Mapping[Pair, P]
) -> Iterable[str]:
    metrics, cost = metrics_of(table), table.get('cost', False)
    last = 'minutes' if cost else 'paper, ImageNet-1K'
    titles = [METRICS[metric].title for metric in metrics]
    header = [table['table'], *titles, 'each run', 'difference', 'p', 'p, Holm', last]
    yield _row(header)
    yield '| --- ' * len(header) + '|'
    if not cost:
        _check_lengths(table, found)
    base = _last(table, table['baseline'], found)
    for row in table['rows']:
        runs = found.get(row['config'], ())
        values = [[run.last(metric) for run in runs] for metric in metrics]
        if row['config'] == table['baseline']:
            compared = ['baseline'] * 3
        else:
            compared = _compared(values[0], base, p_values.get(_pair(table, row)))
        further = _minutes(runs) if cost else f'{row["paper"]:.1f}' if 'paper' in row else ''
        each = ', '.join(f'{value:.1f}' for value in values[0])
        yield _row([row['setting'], *map(spread, values), each, *compared, further])


def _compared(values: Sequence[float], base: Sequence[float], p: P | None) -> list[str]:
    """Returns the difference of the means and both p, each empty where there is none."""
    difference = statistics.fmean(values) - statistics.fmean(base) if values and base else None
    return [
        '' if difference is None else _signed(difference),
        *(['', ''] if p is None else map(_p, p)),
    ]


def _signed(difference: float) -> str:
    """Returns a difference with its sign and one decimal; what rounds to zero is not negative."""
    return f'{round(difference, 1) + 0.0:+.1f}'


def _row(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _check_lengths(table: Mapping, found: Mapping[str, Sequence[Run]]) -> None:
    configs = [row['config'] for row in table['rows']]
    lengths = {run.epochs for config in configs for run in found.get(config, ())}
    if len(lengths) > 1:
        raise InputError(
            f'{table["table"]}: expected runs of one length, got '
            f'{", ".join(map(str, sorted(lengths)))} epochs; keep each in a folder of its own'
        )


def _minutes(runs: Iterable[Run]) -> str:
    """Returns the mean duration of the runs that were not interrupted."""
    seconds = [run.seconds for run in runs if run.seconds]
    return f'{statistics.fmean(seconds) / 60:.0f}' if seconds else ''


def _p(value: float) -> str:
    return '< 0.001' if value < 0.001 else f'{value:.3f}'
