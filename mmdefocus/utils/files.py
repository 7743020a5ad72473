"""Files that are whole or not there at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path to write to; what was written there takes the place of `path` at the end.

    The file written to has the name of `path`, in a folder beside it that exists meanwhile. If
    anything is raised, `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f'.{path.name}.{os.getpid()}')
    folder.mkdir()
    unfinished = folder / path.name
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
        folder.rmdir()


def write_json(content: object, path: Path) -> None:
    """Writes lists, dicts, numbers and texts; NumPy's arrays and tensors as lists."""
    text = json.dumps(content, indent=2, default=lambda value: value.tolist())
    with replacing(path) as unfinished:
        unfinished.write_text(f'{text}\n')
