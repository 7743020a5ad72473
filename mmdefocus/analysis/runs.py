"""Runs of ablations: their results in files, compared as tables."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from scipy.stats import ttest_ind

from ..utils.errors import InputError
from ..utils.files import write_json

TOP_1 = 'accuracy/top1'
AUX_TOP_1 = 'accuracy/aux_top1'
BEGIN, END = '<!-- tables -->', '<!-- end of tables -->'


class Metric(NamedTuple):
    """What a training logs of its validations.

    Attributes:
        key: Its name in the log.
        title: What a table calls it.
        factor: What makes percent of it.
    """

    key: str
    title: str
    factor: float = 1.0


# by their names in results and tables
METRICS = {
    'top1': Metric(TOP_1, 'top-1, %'),
    'aux_top1': Metric(AUX_TOP_1, 'auxiliary top-1, %'),
    'bbox_mAP': Metric('coco/bbox_mAP', 'mAP, %', 100.0),
    'bbox_mAP_50': Metric('coco/bbox_mAP_50', 'AP50, %', 100.0),
}


@dataclass(frozen=True)
class Run:
    """The result of a training.

    Attributes:
        config: Name of the config, without `.py`.
        seed: Its random seed.
        epochs: How long it was trained.
        curves: What each validation gave, in percent, by the names of `METRICS`; in the file,
            each curve is a field of its own.
        seconds: Wall clock; None if the training was interrupted and resumed.
        device: What it was trained on.
        commit: The revision of the code; None if not known.
    """

    config: str
    seed: int
    epochs: int
    curves: dict[str, list[float]]
    seconds: float | None
    device: str
    commit: str | None

    def last(self, metric: str) -> float:
        """Returns what the last validation gave, in percent."""
        return self.curves[metric][-1]


def result_file(folder: Path, config: str, seed: int) -> Path:
    """Returns where the result of a run is."""
    return folder / f'{config}_seed-{seed}.json'


def write_run(run: Run, folder: Path) -> None:
    """Writes a result whole or not at all."""
    content = asdict(run)
    content |= content.pop('curves')
    write_json(content, result_file(folder, run.config, run.seed))


def read_runs(folder: Path) -> list[Run]:
    """Returns the results in a folder, in the order of their names.

    Raises:
        InputError: If a file holds something else, or the runs of a config differ in their epochs.
    """
    runs = []
    lengths: dict[str, set[int]] = {}
    for path in sorted(folder.glob('*.json')):
        try:
            content = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise InputError(f'{path}: no JSON: {error}; delete it to run it again') from error
        runs.append(_run_of(path, content))
        lengths.setdefault(runs[-1].config, set()).add(runs[-1].epochs)
    for config, found in lengths.items():
        if len(found) > 1:
            raise InputError(
                f'{folder}: {config}: expected runs of one length, got '
                f'{", ".join(map(str, sorted(found)))} epochs; keep each in a folder of its own'
            )
    return runs


def _run_of(path: Path, content: object) -> Run:
    fixed = {field.name for field in fields(Run)} - {'curves'}
    curves = content.keys() - fixed if isinstance(content, dict) else set()
    expected = isinstance(content, dict) and fixed < content.keys() and curves <= METRICS.keys()
    if not isinstance(content, dict) or not expected or not any(content[name] for name in curves):
        raise InputError(
            f'{path}: expected the result of a run, with {", ".join(sorted(fixed))} and some of '
            f'{", ".join(METRICS)}; move the file elsewhere'
        )
    return Run(
        **{name: content[name] for name in fixed},
        curves={name: content[name] for name in METRICS if content.get(name)},
    )


def read_curve(work_dir: Path, metric: str) -> list[float]:
    """Returns what a training has logged of a metric, in the order of the epochs.

    A resumed training has several logs; of an epoch that was repeated the last one counts.
    """
    curve: dict[int, float] = {}
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in log.read_text().splitlines():
            scalars = json.loads(line)
            if metric in scalars:
                curve[scalars['step']] = scalars[metric]
    return [curve[epoch] for epoch in sorted(curve)]


def spread(values: Sequence[float]) -> str:
    """Returns the mean and, of two runs or more, the deviation of the sample."""
    if not values:
        return 'not run'
    mean = f'{statistics.fmean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def welch(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Returns the two-sided p of a Welch test for equal means; None with fewer than two of each."""
    if min(len(values), len(others)) < 2:
        return None
    return float(ttest_ind(values, others, equal_var=False).pvalue)


def as_markdown(tables: Iterable[Mapping], runs: Iterable[Run]) -> str:
    """Returns tables of the last validations, each row beside the baseline of its table.

    A row has the mean and the deviation of each metric, and the first metric of each run by itself.

    Args:
        tables: With `table`, a title; `baseline`, the name of a config; and `rows`, each with
            `setting`, `config` and, if the paper has it, `paper`. `metrics` are names of `METRICS`,
            by default top-1, of which the first is compared. Runs of one table have the same number
            of epochs, unless it has `cost: true`, and then a column of minutes.
        runs: The results.

    Raises:
        InputError: If runs of one table differ in their epochs.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.config, []).append(run)
    return '\n\n'.join('\n'.join(_lines(table, found)) for table in tables) + '\n'


def metrics_of(table: Mapping) -> list[str]:
    """Returns the names of the metrics of a table, see `as_markdown`."""
    return table.get('metrics', ['top1'])


def with_tables(page: str, tables: str) -> str:
    """Returns a page with tables between its markers, in place of those that are there.

    Raises:
        ValueError: If the page has not both markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f'page: expected the lines {BEGIN!r} and {END!r} in it')
    return f'{before}{begin}\n{tables}{end}{after}'


def _lines(table: Mapping, found: Mapping[str, Sequence[Run]]) -> Iterable[str]:
    metrics, cost = metrics_of(table), table.get('cost', False)
    last = 'minutes' if cost else 'paper, ImageNet-1K'
    titles = [METRICS[metric].title for metric in metrics]
    header = [table['table'], *titles, 'each run', 'difference', 'p', last]
    yield _row(header)
    yield '| --- ' * len(header) + '|'
    if not cost:
        _check_lengths(table, found)
    base = [run.last(metrics[0]) for run in found.get(table['baseline'], ())]
    for row in table['rows']:
        runs = found.get(row['config'], ())
        values = [[run.last(metric) for run in runs] for metric in metrics]
        difference = p = 'baseline' if row['config'] == table['baseline'] else ''
        if not difference and runs and base:
            difference = _signed(statistics.fmean(values[0]) - statistics.fmean(base))
            p = _p(welch(values[0], base))
        further = _minutes(runs) if cost else f'{row["paper"]:.1f}' if 'paper' in row else ''
        numbers = [spread(of_metric) for of_metric in values]
        each = ', '.join(f'{value:.1f}' for value in values[0])
        yield _row([row['setting'], *numbers, each, difference, p, further])


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


def _p(value: float | None) -> str:
    if value is None:
        return ''
    return '< 0.001' if value < 0.001 else f'{value:.3f}'
