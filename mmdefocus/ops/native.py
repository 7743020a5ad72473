"""Compiles the C++ sources of this package on first use, with the compiler of the machine.

The sources know nothing of torch, so a build takes seconds. A library is cached under a name made
of its sources, the flags, the compiler and the instruction set that the compiler sees, so another
CPU or another compiler on the same home directory gets one of its own.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import torch

HEADERS = Path(__file__).parent / 'csrc'
COMPILERS = ('c++', 'g++', 'clang++')
FLAGS = ('-std=c++17', '-O3', '-march=native', '-fPIC', '-fopenmp', '-Wno-psabi')

logger = logging.getLogger(__name__)


class BuildError(RuntimeError):
    """No library can be had; the message is the reason in one line."""


def cache_folder() -> Path:
    """Returns where libraries are kept: MMDEFOCUS_CACHE, or mmdefocus in the user's cache."""
    default = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'mmdefocus'
    return Path(os.environ.get('MMDEFOCUS_CACHE', default))


@functools.cache
def load_library(source: Path) -> ctypes.CDLL | str:
    """Returns the compiled library of a C++ file, or the reason why there is none.

    A failure is logged once; the caller falls back to another backend.
    """
    try:
        return _open(_build(source))
    except (BuildError, OSError) as error:
        reason = str(error)
        logger.warning('%s is not compiled (%s); a slower backend serves', source.name, reason)
        return reason


def num_threads() -> int:
    """Returns how many threads a call may use.

    The libraries share torch's OpenMP, whose threads do not survive a fork: a forked child, such
    as a worker of a DataLoader, computes alone.
    """
    return torch.get_num_threads() if os.getpid() == _LOADED_IN else 1


_LOADED_IN = os.getpid()


def _compiler() -> str:
    wanted = os.environ.get('CXX')
    for name in (wanted,) if wanted else COMPILERS:
        if path := shutil.which(name):
            return path
    raise BuildError(f'no C++ compiler found: looked for {wanted or ", ".join(COMPILERS)}')


def _build(source: Path) -> Path:
    compiler = _compiler()
    sources = sorted([source, *HEADERS.glob('*.h')])
    probe = _run([compiler, '-march=native', '-dM', '-E', '-x', 'c++', os.devnull])
    identity = hashlib.sha256('\n'.join([compiler, *FLAGS, probe]).encode())
    for path in sources:
        identity.update(path.read_bytes())
    folder = cache_folder()
    library = folder / f'{source.stem}-{identity.hexdigest()[:16]}.so'
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(library.with_suffix('.lock')):
        if not library.exists():
            _compile(compiler, source, library)
    return library


def _compile(compiler: str, source: Path, library: Path) -> None:
    """Writes the library beside its place and renames it."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled, linked = (Path(folder) / f'{source.stem}{suffix}' for suffix in ('.o', '.so'))
        _run([compiler, *FLAGS, f'-I{HEADERS}', '-c', str(source), '-o', str(compiled)])
        # linked without OpenMP: torch has loaded one already, and two would fight for the cores
        undefined = ['-undefined', 'dynamic_lookup'] if sys.platform == 'darwin' else []
        _run([compiler, '-shared', *undefined, str(compiled), '-o', str(linked)])
        try:
            _open(linked)
        except OSError:  # this compiler's OpenMP is not the one of torch
            _run([compiler, '-shared', '-fopenmp', str(compiled), '-o', str(linked)])
        os.replace(linked, library)


def _open(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if 'error' in line] or ['no message']
        raise BuildError(f'{command[0]} failed: {lines[0].strip()}') from error


@contextmanager
def _locked(path: Path):
    """Lets one process in at a time."""
    import fcntl  # not on Windows, where there is no backend that needs it

    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
