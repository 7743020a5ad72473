"""Shows what datasets hold, and opens their images."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from ...datasets.contents import Contents
from ...datasets.transforms import LoadImage
from ...utils.errors import InputError
from .reading import Part

MOST_CLASSES = 40  # rows of a table that is still read
MOST_ERRORS = 20
THREADS = 8


def show(found: Mapping[str, Sequence[Part]], console: Console) -> None:
    """Prints the datasets of each loader, the objects by class, and what is left out."""
    table = Table('split', 'images', 'objects')
    for name in ('dataset', 'left out, or taken otherwise'):
        table.add_column(name, overflow='fold')
    for loader, parts in found.items():
        for part in parts:
            contents = part.contents
            row = [split_name(loader), '?', '?', part.kind, 'not read: its class alone can tell']
            if contents:
                counts = contents.left_out + contents.notes
                row = [
                    split_name(loader),
                    f'{contents.num_images:,}',
                    f'{contents.objects.total():,}',
                    contents.source,
                    '\n'.join(f'{n:,} {what}' for what, n in counts.most_common()) or 'nothing',
                ]
            table.add_row(*map(escape, row))
    console.print(table)
    _show_classes(found, console)


def split_name(loader: str) -> str:
    """Returns 'train' for 'train_dataloader'."""
    return loader.partition('_')[0]


def _show_classes(found: Mapping[str, Sequence[Part]], console: Console) -> None:
    columns: dict[str, list[Contents]] = {}
    for loader, parts in found.items():
        columns[split_name(loader)] = [part.contents for part in parts if part.contents]
    columns = {split: parts for split, parts in columns.items() if parts}
    labels = next((contents.labels for parts in columns.values() for contents in parts), ())
    counts = {
        split: {name: sum(c.objects[name] for c in parts) for name in labels}
        for split, parts in columns.items()
    }
    if 0 < len(labels) <= MOST_CLASSES:
        table = Table('label', 'class', *columns)
        for number, name in enumerate(labels):
            table.add_row(
                str(number), escape(name), *(f'{count[name]:,}' for count in counts.values())
            )
        console.print(table)
    for split, count in counts.items():
        values = sorted(count.values())
        if len(labels) > MOST_CLASSES:
            console.print(
                f'{split}: {len(labels)} classes, objects of each: {values[0]:,} to '
                f'{values[-1]:,}, median {values[len(values) // 2]:,}',
                highlight=False,
            )
        if empty := [name for name in labels if not count[name]]:
            more = f' and {len(empty) - MOST_CLASSES} more' if len(empty) > MOST_CLASSES else ''
            names = escape(', '.join(empty[:MOST_CLASSES]))
            console.print(f'{split}: no object of {names}{more}', highlight=False)


def open_images(found: Mapping[str, Sequence[Part]], console: Console) -> None:
    """Decodes every image once and compares its size with the annotation.

    Raises:
        InputError: If some are broken or of another size; the first are printed.
    """
    images = {
        path: size
        for parts in found.values()
        for part in parts
        for path, size in (part.contents.images if part.contents else ())
    }
    with ThreadPoolExecutor(THREADS) as pool:
        opened = track(
            pool.map(_fault, images.items()), 'images', total=len(images), console=console
        )
        faults = [fault for fault in opened if fault]
    for fault in faults[:MOST_ERRORS]:
        console.print(fault, highlight=False, markup=False, soft_wrap=True)
    if faults:
        raise InputError(
            f'{len(faults)} of {len(images)} images cannot be used, the first: {faults[0]}'
        )


def _fault(image: tuple[str, tuple[float, float] | None]) -> str | None:
    path, size = image
    stated = {'width': size[0], 'height': size[1]} if size else {}
    try:
        LoadImage()({'img_path': path, **stated})
    except InputError as error:
        return str(error)
    return None
