"""Where tools write, and the form of their tables."""

import sys
from io import TextIOWrapper

from rich.console import Console
from rich.table import Column, Table


def take_any_text() -> None:
    r"""Lets stdout take every text; what its encoding lacks is written as an escape, like `\xe9`.

    Names of files and classes may have any character, and names of files even bytes that are no
    text. The encoding stays as it is. Python does the same for stderr by itself.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # a notebook has others, which take every text
        sys.stdout.reconfigure(errors='backslashreplace')


def make_console(stderr: bool = False) -> Console:
    """Returns a console that is wide enough for the tables if its output goes to a file.

    It prints brackets and colons as they are: names of files and classes may have some, such as
    `[red]x.png` and `:smile:`.

    Args:
        stderr: Whether it writes to stderr, such as progress beside results on stdout.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 160
    return Console(stderr=stderr, width=width, markup=False, emoji=False)


def make_table(first: str, *others: str, title: str | None = None) -> Table:
    """Returns an empty table: names, never cut, in the first column and numbers in the others."""
    table = Table(Column(first, overflow='fold'), title=title, pad_edge=False)
    for name in others:
        table.add_column(name, justify='right')
    return table
