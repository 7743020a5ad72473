"""Compiles the C++ sources of this package on first use, with the compiler of the machine.

The sources know nothing of torch, so a build takes a quarter of a minute. The library is cached
under a name made of the sources, the flags, the compiler and the instruction set that the compiler
sees, so another CPU or another compiler on the same home directory gets one of its own.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

OPERATORS = Path(__file__).parents[1]
HEADERS = OPERATORS / 'csrc'
SOURCES = tuple(sorted(OPERATORS.glob('**/csrc/*.cpp')))
COMPILERS = ('c++', 'g++', 'clang++')
FLAGS = (
    '-std=c++17',
    '-O3',
    '-ffp-contract=fast',
    '-march=native',
    '-fPIC',
    '-fopenmp',
    '-Wno-psabi',
)

logger = logging.getLogger(__name__)


class BuildError(RuntimeError):
    """No library can be had; the message is the reason in one line."""


def cache_folder() -> Path:
    """Returns where libraries are kept: MMDEFOCUS_CACHE, or mmdefocus in the user's cache."""
    default = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'mmdefocus'
    return Path(os.environ.get('MMDEFOCUS_CACHE', default))


@functools.cache
def load_library() -> ctypes.CDLL | str:
    """Returns the compiled library, or the reason why there is none.

    A failure is logged once; the operators fall back to other backends.
    """
    try:
        return _open(_build())
    except (BuildError, OSError) as error:
        logger.warning('no compiled operators (%s); slower backends serve', error)
        return str(error)


def why_not(device: torch.device) -> str | None:
    """Returns why compiled operators cannot serve a device, or None; compiles them if need be."""
    if device.type != 'cpu':
        return 'is for the CPU'
    library = load_library()
    return library if isinstance(library, str) else None


def _compiler() -> str:
    wanted = os.environ.get('CXX')
    for name in (wanted,) if wanted else COMPILERS:
        if path := shutil.which(name):
            return path
    raise BuildError(f'no C++ compiler found: looked for {wanted or ", ".join(COMPILERS)}')


def _build() -> Path:
    compiler = _compiler()
    probe = _run([compiler, '-march=native', '-dM', '-E', '-x', 'c++', os.devnull])
    identity = hashlib.sha256('\n'.join([compiler, *FLAGS, probe]).encode())
    for path in (*SOURCES, *sorted(HEADERS.glob('*.h'))):
        identity.update(path.read_bytes())
    folder = cache_folder()
    library = folder / f'operators-{identity.hexdigest()[:16]}.so'
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(library.with_suffix('.lock')):
        if not library.exists():
            _compile(compiler, library)
    return library


def _compile(compiler: str, library: Path) -> None:
    """Writes the library beside its place and renames it."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        objects = [Path(folder) / f'{source.stem}.o' for source in SOURCES]
        commands = [
            [compiler, *FLAGS, f'-I{HEADERS}', '-c', source, '-o', compiled]
            for source, compiled in zip(SOURCES, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        linked = Path(folder) / library.name
        # linked without OpenMP: torch has loaded one already, and two would fight for the cores
        undefined = ['-undefined', 'dynamic_lookup'] if sys.platform == 'darwin' else []
        _run([compiler, '-shared', *undefined, *objects, '-o', linked])
        try:
            _open(linked)
        except OSError:  # this compiler's OpenMP is not the one of torch
            _link_with_openmp(compiler, objects, linked)
        os.replace(linked, library)


def _link_with_openmp(compiler: str, objects: list[Path], library: Path) -> None:
    try:
        _run([compiler, '-shared', '-fopenmp', *objects, '-o', library])
        _open(library)
    except (BuildError, OSError) as error:
        raise BuildError(
            f'no OpenMP of {compiler} can be loaded; install it (for clang: libomp) or name '
            f'another compiler in CXX: {error}'
        ) from error


def _open(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)


def _run(command: list[str | Path]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if 'error' in line] or ['no message']
        raise BuildError(f'{command[0]} failed: {lines[0].strip()}') from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process in at a time."""
    import fcntl  # not on Windows, where there is no backend that needs it

    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
