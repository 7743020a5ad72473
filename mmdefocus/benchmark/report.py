"""What a measurement is shown and saved as: rows, a table, a CSV."""

import csv
import os
import platform
import statistics
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from ..utils.console import make_console as make_console
from ..utils.memory import keeps_freed_memory

Row = dict[str, str | int | float | None]


def spread(seconds: Sequence[float]) -> Row:
    """Returns median, minimum and maximum in milliseconds, and how many there are."""
    return {
        'median_ms': 1e3 * statistics.median(seconds),
        'min_ms': 1e3 * min(seconds),
        'max_ms': 1e3 * max(seconds),
        'repeats': len(seconds),
    }


def environment(threads: int, **more: str) -> Row:
    """Sets the threads of torch and returns what the numbers depend on."""
    torch.set_num_threads(threads)
    freed = 'kept' if keeps_freed_memory() else 'returned'
    about = {'cpu': cpu_name(), 'threads': threads, 'memory': freed, 'torch': torch.__version__}
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
    rows: Sequence[Row], title: str, hidden: Collection[str], group: str, console: Console
) -> None:
    """Shows rows that have the same keys.

    Args:
        rows: At least one.
        title: The line above.
        hidden: Keys that are left out.
        group: A line divides rows that differ in this key.
        console: Where to print.
    """
    table = Table(pad_edge=False)
    keys = [key for key in rows[0] if key not in hidden]
    for key in keys:
        table.add_column(key, justify='left' if isinstance(rows[0][key], str) else 'right')
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is None or following[group] != row[group]
        table.add_row(*(_cell(row[key]) for key in keys), end_section=ends)
    console.print(title, highlight=False, soft_wrap=True)
    console.print(table)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ''
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def save_csv(path: Path, rows: Sequence[Row], about: Row) -> None:
    """Writes the rows, each with what it depends on."""

    def write(beside: Path) -> None:
        with beside.open('w', newline='') as file:
            writer = csv.DictWriter(file, [*rows[0], *about])
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)

    save(path, write)


def save(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a file beside `path` and renames it, so that no half file is found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
