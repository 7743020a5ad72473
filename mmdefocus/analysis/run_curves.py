"""Learning curves of ablations: a panel a table, a line a setting."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .line_style import line_style
from .run_tables import metrics_of
from .runs import METRICS, Run, by_config

COLUMNS = 2


def draw_learning_curves(tables: Sequence[Mapping], runs: Iterable[Run]) -> Figure | None:
    """Draws the mean of each validation, with a bar of one deviation to either side.

    Args:
        tables: As `as_markdown` takes them; the first metric of each is drawn, and settings that
            were not run are left out.
        runs: The results, as `read_runs` returns them.

    Returns:
        The figure; None if no setting of any table was run.

    Raises:
        InputError: If a run lacks the metric of a table.
    """
    found = by_config(runs)
    shown = [table for table in tables if any(row['config'] in found for row in table['rows'])]
    if not shown:
        return None
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(5.5 * COLUMNS, 3.8 * rows), layout='constrained')
    grid = list(figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).flat)
    for axes, table in zip(grid, shown, strict=False):
        _draw_table(axes, table, found)
    for axes in grid[len(shown) :]:
        axes.remove()
    return figure


def _draw_table(axes: Axes, table: Mapping, found: Mapping[str, Sequence[Run]]) -> None:
    metric, unit = metrics_of(table)[0], 'epoch'
    for number, row in enumerate(table['rows']):
        runs = found.get(row['config'], ())
        if not runs:
            continue
        validations = list(zip(*(run.curve(metric) for run in runs), strict=True))
        if len(validations) < runs[0].epochs:  # detectors are not validated in each
            unit = 'validation'
        axes.errorbar(
            range(1, len(validations) + 1),
            [statistics.fmean(values) for values in validations],
            [statistics.stdev(values) for values in validations] if len(runs) > 1 else None,
            **line_style(number),
            capsize=3,
            label=f'{row["setting"]} ({len(runs)})',
        )
    axes.set(title=table['table'], xlabel=unit, ylabel=METRICS[metric].title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
