"""What a measurement is shown and saved as: rows, a table, a CSV."""

import csv
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing
from mmdefocus.utils.memory import keeps_freed_memory

Row = dict[str, str | int | float | None]


def spread(seconds: Sequence[float]) -> Row:
    """Returns median, minimum and maximum in milliseconds, and how many there are."""
    return {
        'median_ms': 1e3 * statistics.median(seconds),
        'min_ms': 1e3 * min(seconds),
        'max_ms': 1e3 * max(seconds),
        'repeats': len(seconds),
    }


def mebibytes(size: int | None) -> float | None:
    """Returns a number of bytes in MiB; None if it is not known."""
    return None if size is None else size / 2**20


def environment(threads: int, device: str = 'cpu', **more: str | int) -> Row:
    """Sets the threads of torch and returns what the numbers depend on."""
    torch.set_num_threads(threads)
    freed = 'kept' if keeps_freed_memory() else 'returned'
    about = {'cpu': cpu_name(), 'threads': threads, 'memory': freed, 'torch': torch.__version__}
    if device == 'cuda':
        about |= {'gpu': torch.cuda.get_device_name(), 'cuda': torch.version.cuda}
    return about | more


def cpu_name() -> str:
    """Returns the name of the processor."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor() or platform.machine())


def print_table(
    rows: Sequence[Row], about: Row, group: str, console: Console, common: Sequence[str] = ()
) -> None:
    """Shows rows that have the same keys, below what they depend on.

    Args:
        rows: At least one.
        about: What all rows depend on.
        group: A line divides rows that differ in this key.
        console: Where to print.
        common: Keys that are no column but stand above where all rows agree in them.
    """
    above = {key: rows[0][key] for key in common if len({row[key] for row in rows}) == 1}
    keys = [key for key in rows[0] if key not in above]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for key in keys:
        table.add_column(key, justify='left' if isinstance(rows[0][key], str) else 'right')
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is None or following[group] != row[group]
        table.add_row(*(_cell(row[key]) for key in keys), end_section=ends)
    title = ', '.join(f'{key} {_cell(value)}' for key, value in (about | above).items())
    console.print(title, highlight=False, soft_wrap=True)
    console.print(table)


def show(
    path: Path,
    rows: Sequence[Row],
    about: Row,
    group: str,
    console: Console,
    common: Sequence[str] = (),
) -> None:
    """Shows the table of what was saved, see `print_table`, and says where.

    Raises:
        InputError: If nothing was measured.
    """
    if not rows:
        raise InputError('none of those that are wanted can run, as the lines above tell')
    print_table(rows, about, group, console, common)
    console.print(f'wrote {path}', highlight=False, soft_wrap=True)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ''
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def save_csv(path: Path, rows: Sequence[Row], about: Row) -> None:
    """Writes the rows, each with what it depends on; without rows, nothing."""
    if not rows:
        return
    with replacing(path) as unfinished, unfinished.open('w', newline='') as file:
        writer = csv.DictWriter(file, [*rows[0], *about])
        writer.writeheader()
        writer.writerows({**row, **about} for row in rows)
