"""Locks that a dead process does not hold."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def claimed(folder: Path, name: str = 'training.lock') -> Iterator[None]:
    """Claims a folder for this process; the system gives it back when the process ends.

    The lock is of the kind that forked processes do not inherit: workers that outlive a killed
    process do not keep it. The file stays; alone it means nothing. Where the file system has no
    locks, nothing is claimed, and a line on stderr says so.

    Raises:
        InputError: If another process has claimed the folder. Names the process.
    """
    if os.name != 'posix':
        yield
        return
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open('a+') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise InputError(
                f'{folder}: another training runs in this folder ({file.read().strip()}); wait '
                'for its end, or name another folder with --work-dir'
            ) from error
        except OSError as error:
            print(f'{folder}: cannot be locked against another training: {error}', file=sys.stderr)
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield
