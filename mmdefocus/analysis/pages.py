"""Markdown pages with generated tables between two markers."""

from pathlib import Path

from ..utils.errors import InputError
from ..utils.files import replacing

BEGIN, END = '<!-- tables -->', '<!-- end of tables -->'


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


def page_with_tables(path: Path, tables: str) -> str:
    """Returns the text of a page with tables, see `with_tables`.

    Raises:
        InputError: If the file is no text, or has not both markers. Names the file.
    """
    try:
        return with_tables(path.read_text('utf-8'), tables)
    except ValueError as error:  # one of UTF-8 as well
        raise InputError(f'{path}: {error}') from error


def write_tables(path: Path, tables: str) -> None:
    """Puts tables into a page, whole or not at all.

    Raises:
        InputError: If the file is no text, or has not both markers. Names the file.
    """
    page = page_with_tables(path, tables)
    with replacing(path) as unfinished:
        unfinished.write_text(page, 'utf-8')
