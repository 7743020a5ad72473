"""Where compiled libraries are kept, and which of them may be loaded.

To load a library is to run it. So a library is loaded only from a folder that nobody but this user
(or root) can write to, and only if it is whole: its name ends in the digest of its content.
"""

import hashlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

PREFIX = 'operators-'
FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH
ROOT = 0

logger = logging.getLogger(__name__)


class UntrustedError(OSError):
    """Libraries cannot be kept in a folder; the message is the reason in one line."""


def cache_folder() -> Path:
    """Returns where libraries belong: MMDEFOCUS_CACHE, or mmdefocus in the user's cache.

    Raises:
        UntrustedError: If MMDEFOCUS_CACHE is a relative path, which is another folder for every
            place that the program is started from; or if HOME is none that is absolute.
    """
    if wanted := os.environ.get('MMDEFOCUS_CACHE'):
        if not os.path.isabs(wanted):
            raise UntrustedError(f'MMDEFOCUS_CACHE: expected an absolute path, got {wanted!r}')
        return Path(wanted)
    caches = os.environ.get('XDG_CACHE_HOME', '')
    if os.path.isabs(caches):  # its specification: a relative path counts for nothing
        return Path(caches, 'mmdefocus')
    home = os.environ.get('HOME', '')
    if not os.path.isabs(home):
        raise UntrustedError(f'HOME: expected an absolute path, got {home!r}')
    return Path(home, '.cache', 'mmdefocus')


@contextmanager
def private_folders() -> Iterator[Iterator[Path]]:
    """Gives the folders to try in turn; why one cannot be used is logged.

    They are `cache_folder`, one of this user among the temporary files, and a new one that is
    removed at the end.
    """
    with ExitStack() as stack:
        yield _private_folders(stack)


def _private_folders(stack: ExitStack) -> Iterator[Path]:
    of_user = partial(Path, tempfile.gettempdir(), f'mmdefocus-{os.getuid()}')
    new = partial(tempfile.TemporaryDirectory, prefix='mmdefocus-')
    for find_folder in (cache_folder, of_user, lambda: Path(stack.enter_context(new()))):
        try:
            yield make_private(find_folder())
        except OSError as error:
            logger.warning('compiled operators are kept in another place: %s', error)


def make_private(folder: Path) -> Path:
    """Makes a folder, or what is there, private; returns it without symbolic links.

    A folder that others could write to is emptied, if it holds libraries alone.

    Raises:
        OSError: If it cannot be made, or if somebody else could change it or take its place.
    """
    _make_with_parents(folder)
    folder = folder.resolve()
    for parent in folder.parents:
        state = parent.stat()
        if state.st_uid not in {*_trusted(), *_roots_alias()}:
            raise UntrustedError(f'{folder}: {parent} belongs to another user')
        if state.st_mode & FOR_OTHERS and not state.st_mode & stat.S_ISVTX:
            raise UntrustedError(f'{folder}: others can write to {parent}, see chmod go-w')
    state = folder.stat()
    if state.st_uid not in _trusted():
        raise UntrustedError(f'{folder}: it belongs to another user')
    if os.statvfs(folder).f_flag & getattr(os, 'ST_NOEXEC', 0):
        raise UntrustedError(f'{folder}: programs cannot run from there')
    ours = (
        state.st_uid == os.getuid()
        and not state.st_mode & stat.S_ISVTX
        and all(entry.name.startswith(PREFIX) for entry in folder.iterdir())
    )
    if ours and stat.S_IMODE(state.st_mode) != 0o700:
        folder.chmod(0o700)
    if state.st_mode & FOR_OTHERS:
        if not ours:
            raise UntrustedError(f'{folder}: others can write to it')
        for entry in folder.iterdir():
            discard(entry)
    return folder


def find(folder: Path, identity: str) -> Path | None:
    """Returns the library of a name in a private folder, if there is one that may be loaded."""
    candidates = folder.glob(f'{PREFIX}{identity}-*.so')
    return next((path for path in candidates if _is_sound(path)), None)


def put(library: Path, folder: Path, identity: str) -> Path:
    """Moves a library to its place in a private folder on the same file system; returns it.

    Other libraries of that name, which may not be loaded, are removed.
    """
    library.chmod(0o700)
    for unsound in folder.glob(f'{PREFIX}{identity}-*.so'):
        discard(unsound)
    place = folder / f'{PREFIX}{identity}-{_digest(library.read_bytes())}.so'
    os.replace(library, place)
    return place


def discard(path: Path) -> None:
    """Removes whatever is there; a link, but not what it points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, identity: str, deadline: float) -> Iterator[None]:
    """Lets one process at a time build a library.

    Args:
        folder: A private folder.
        identity: The name of the library.
        deadline: When to stop waiting, in seconds of `time.monotonic`.

    Raises:
        UntrustedError: If it does.
    """
    import fcntl  # not on Windows, where there is no backend that needs it

    with open(folder / f'{PREFIX}{identity}.lock', 'w') as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UntrustedError(f'{folder}: another process builds for too long') from None
                time.sleep(0.05)
        yield


def _is_sound(library: Path) -> bool:
    """Tells whether it is a whole file that nobody but this user or root can write to."""
    try:
        # neither follows a link nor waits for the writer of a pipe
        descriptor = os.open(library, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        state = os.fstat(descriptor)
        safe = state.st_uid in _trusted() and not state.st_mode & FOR_OTHERS
        if not safe or not stat.S_ISREG(state.st_mode):
            return False
        with open(descriptor, 'rb', closefd=False) as file:
            return library.stem.endswith(f'-{_digest(file.read())}')
    finally:
        os.close(descriptor)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _make_with_parents(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise UntrustedError(f'{folder}: it is no folder')


def _trusted() -> set[int]:
    return {ROOT, os.getuid()}


def _roots_alias() -> set[int]:
    """Returns as whom root appears in a container that does not know the users of its host."""
    try:
        first_row, *others = Path('/proc/self/uid_map').read_text().splitlines()
        everybody = not others and first_row.split() == ['0', '0', str(2**32 - 1)]
        return set() if everybody else {int(Path('/proc/sys/kernel/overflowuid').read_text())}
    except (OSError, ValueError):
        return set()
