"""Runs of ablations: their results in files, compared as tables."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from scipy.stats import ttest_ind

from ..utils.errors import InputError
from ..utils.files import write_json

TOP_1 = 'accuracy/top1'
AUX_TOP_1 = 'accuracy/aux_top1'
BEGIN, END = '<!-- tables -->', '<!-- end of tables -->'
HEADER = '| {} | top-1, % | runs | difference | p | paper, ImageNet-1K |'


@dataclass(frozen=True)
class Run:
    """The result of a training.

    Attributes:
        config: Name of the config, without `.py`.
        seed: Its random seed.
        epochs: How long it was trained.
        top1: Top-1 accuracy after each epoch, in percent.
        aux_top1: That of the auxiliary classifier; empty without one.
        seconds: Wall clock; None if the training was interrupted and resumed.
        device: What it was trained on.
        commit: The revision of the code; None if not known.
    """

    config: str
    seed: int
    epochs: int
    top1: list[float]
    aux_top1: list[float]
    seconds: float | None
    device: str
    commit: str | None


def result_file(folder: Path, config: str, seed: int) -> Path:
    """Returns where the result of a run is."""
    return folder / f'{config}_seed-{seed}.json'


def write_run(run: Run, folder: Path) -> None:
    """Writes a result whole or not at all."""
    write_json(asdict(run), result_file(folder, run.config, run.seed))


def read_runs(folder: Path) -> list[Run]:
    """Returns the results in a folder, in the order of their names.

    Raises:
        InputError: If a file holds something else, or the runs differ in their epochs.
    """
    runs = []
    for path in sorted(folder.glob('*.json')):
        try:
            content = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise InputError(f'{path}: no JSON: {error}; delete it to run it again') from error
        expected = {field.name for field in fields(Run)}
        if not isinstance(content, dict) or content.keys() != expected or not content['top1']:
            raise InputError(
                f'{path}: expected the result of a run, with {", ".join(sorted(expected))}; move '
                'the file elsewhere'
            )
        runs.append(Run(**content))
    if len({run.epochs for run in runs}) > 1:
        lengths = ', '.join(map(str, sorted({run.epochs for run in runs})))
        raise InputError(
            f'{folder}: expected runs of one length, got {lengths} epochs; keep each in a folder '
            'of its own'
        )
    return runs


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
    """Returns tables of the last accuracies, each row beside the baseline of its table.

    Args:
        tables: With `table`, a title; `baseline`, the name of a config; and `rows`, each with
            `setting`, `config` and, if the paper has it, `paper`.
        runs: The results.
    """
    found: dict[str, list[float]] = {}
    for run in runs:
        found.setdefault(run.config, []).append(run.top1[-1])
    return '\n\n'.join('\n'.join(_lines(table, found)) for table in tables) + '\n'


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


def _lines(table: Mapping, found: Mapping[str, Sequence[float]]) -> Iterable[str]:
    yield HEADER.format(table['table'])
    yield '| --- ' * HEADER.count(' |') + '|'
    base = found.get(table['baseline'], ())
    for row in table['rows']:
        values = found.get(row['config'], ())
        difference = p = 'baseline' if row['config'] == table['baseline'] else ''
        if not difference and values and base:
            difference = f'{statistics.fmean(values) - statistics.fmean(base):+.1f}'
            p = _p(welch(values, base))
        paper = f'{row["paper"]:.1f}' if 'paper' in row else ''
        cells = (row['setting'], spread(values), str(len(values)), difference, p, paper)
        yield f'| {" | ".join(cells)} |'


def _p(value: float | None) -> str:
    if value is None:
        return ''
    return '< 0.001' if value < 0.001 else f'{value:.3f}'
