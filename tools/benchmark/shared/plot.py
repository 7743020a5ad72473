"""Time and peak memory against a size, drawn where matplotlib is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from mmdefocus.utils.errors import one_line
from mmdefocus.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Point(NamedTuple):
    """What was measured at the size `x`; points of a line in a panel are joined."""

    panel: str
    line: str
    x: int
    median: float
    low: float
    high: float
    peak: float | None


class Labels(NamedTuple):
    """What the axes are called."""

    x: str
    time: str
    memory: str


def save_plot(path: Path, points: Sequence[Point], labels: Labels, console: Console) -> None:
    """Writes a PNG; without matplotlib, a line says that there is none."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        console.print(f'{path} is skipped: {one_line(error)}', highlight=False, soft_wrap=True)
        return
    with replacing(path) as unfinished:
        _draw(points, labels).savefig(unfinished, dpi=120)
    console.print(f'wrote {path}', highlight=False, soft_wrap=True)


def _draw(points: Sequence[Point], labels: Labels) -> 'Figure':
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(point.panel for point in points))
    figure = Figure(figsize=(10, 4 * len(panels)), layout='constrained')
    rows = figure.subplots(len(panels), 2, squeeze=False)
    for panel, (time, memory) in zip(panels, rows, strict=True):
        of_panel = [point for point in points if point.panel == panel]
        for name in dict.fromkeys(point.line for point in of_panel):
            of_line = [point for point in of_panel if point.line == name]
            _, _, x, median, low, high, peak = zip(*of_line, strict=True)
            (drawn,) = time.plot(x, median, marker='o', label=name)
            time.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2)
            if None not in peak:
                memory.plot(x, peak, marker='o', label=name)
        time.set(title=panel, ylabel=labels.time, xscale='log', yscale='log')
        memory.set(title=panel, ylabel=labels.memory)
        ticks = sorted({point.x for point in of_panel})
        for axes in (time, memory):
            axes.set(xlabel=labels.x)
            axes.set_xticks(ticks, map(str, ticks))
            axes.set_xticks([], minor=True)
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend()
    return figure
