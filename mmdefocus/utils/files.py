"""Writes files that are whole or not there at all, even after a power cut."""

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2s
from pathlib import Path
from tempfile import mkdtemp

from .errors import InputError

UNFINISHED = '.unfinished'
# Bytes; the system takes 255, and the name of an unfinished file and numbers need some of them.
LONGEST_NAME = 200
LONGEST_SUFFIX = 10  # characters


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path to write to; what was written there takes the place of `path` at the end.

    The file written to has the name of `path`, in a new folder beside it that exists meanwhile.
    If anything is raised, `path` is left as it was.
    """
    with folder_beside(path) as folder:
        unfinished = folder / path.name
        yield unfinished
        put(unfinished, path)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Gives a new folder in the folder of `path`, which is made too; removes it at the end.

    What killed processes have left of the same `path` is removed as well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent, path.name)
    folder, lock = _locked_folder(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def fitting_name(name: str) -> str:
    """Returns a name that an unfinished file can have, too: that of a file, shortened if need be.

    The suffix stays. A digest tells names from each other that begin alike.
    """
    whole = os.fsencode(name)
    if len(whole) <= LONGEST_NAME:
        return name
    end = f'-{blake2s(whole, digest_size=4).hexdigest()}{Path(name).suffix[:LONGEST_SUFFIX]}'
    return whole[: LONGEST_NAME - len(os.fsencode(end))].decode('utf-8', 'ignore') + end


def check_place(path: Path) -> None:
    """Finds out whether a file can be put somewhere, before hours of work for it.

    Raises:
        OSError: If it cannot.
    """
    if path.is_dir():  # which a file cannot replace
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with folder_beside(path):
        pass


def check_not_read(name: str, targets: Iterable[Path], sources: Iterable[Path]) -> None:
    """Checks that no file to be written is one of those that are read.

    Args:
        name: What to call the argument that says where to write.
        targets: Files to be written, most of which do not exist.
        sources: Files that are read; links are followed.

    Raises:
        InputError: Names the file that would be replaced.
    """
    read = {_identity(path) for path in sources} - {None}
    for path in targets:
        if _identity(path) in read:
            raise InputError(
                f'{name}: {path} is read, and would be replaced by what is written; '
                'choose another folder'
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from all others, None if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a name may be none that the system takes
        return None
    return status.st_dev, status.st_ino


def remove_unfinished(folder: Path, name: str = '*') -> None:
    """Removes what killed processes have left of unfinished files, of one name or of all."""
    for left in folder.glob(f'.{name}.*{UNFINISHED}'):
        lock = _lock(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """Returns a new folder, and the lock that keeps `remove_unfinished` from it."""
    while True:
        folder = Path(mkdtemp(UNFINISHED, f'.{path.name}.', path.parent))
        lock = _lock(folder, wait=True)  # for one that takes it for a leftover
        if folder.exists():  # it may have been removed before it was locked
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path, wait: bool = False) -> int | None:
    """Locks a folder; returns the open folder, None if it is gone or cannot be locked.

    A folder that another process has cannot be locked, unless it is waited for.
    """
    if os.name != 'posix':
        return None
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or on a file system without such locks
        os.close(descriptor)
        return None
    return descriptor


def put(source: Path, path: Path) -> None:
    """Moves a finished file to a place on the same file system, where it replaces another.

    The content is on the disk before the name is.
    """
    _flush(source)
    os.replace(source, path)
    if os.name == 'posix':  # elsewhere a folder cannot be opened
        _flush(path.parent)


def is_local(path: str) -> bool:
    """Tells whether data is on this machine; MMEngine's file backends find what is elsewhere."""
    return '://' not in path


def write_json(content: object, path: Path) -> None:
    """Writes lists, dicts, numbers and texts; NumPy's arrays and tensors as lists."""
    text = json.dumps(content, indent=2, default=lambda value: value.tolist())
    with replacing(path) as unfinished:
        unfinished.write_text(f'{text}\n')


def _flush(path: Path) -> None:
    """Waits until the system has written a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
