"""Has the C++ of this package as a library: one that came with it, or compiled on first use.

A wheel may carry libraries, see `prebuilt.py`. Otherwise the compiler of the machine makes one. The
sources know nothing of torch, so a build takes a quarter of a minute. The library is cached
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
from pathlib import Path

import torch

from . import cache, prebuilt
from .cache import cache_folder as cache_folder
from .compiler import BuildError, build_deadline, find_compiler, run

OPERATORS = Path(__file__).parents[1]
HEADERS = OPERATORS / 'csrc'
SOURCES = tuple(sorted(OPERATORS.glob('**/csrc/*.cpp')))
FLAGS = (
    '-std=c++17',
    '-O3',
    '-ffp-contract=fast',
    '-fPIC',
    '-fopenmp',
    '-Wno-psabi',
)
NATIVE = '-march=native'

logger = logging.getLogger(__name__)


@functools.cache
def load_library() -> ctypes.CDLL | str:
    """Returns the compiled library, or the reason why there is none.

    A failure is logged once; the operators fall back to other backends.
    """
    try:
        return _load()
    except (BuildError, OSError) as error:
        logger.warning('no compiled operators (%s); slower backends serve', error)
        return str(error)


def why_not(device: torch.device) -> str | None:
    """Returns why compiled operators cannot serve a device, or None; compiles them if need be."""
    if device.type != 'cpu':
        return 'is for the CPU'
    library = load_library()
    return library if isinstance(library, str) else None


def _load() -> ctypes.CDLL:
    """Loads the library that came with the package, or else one made by this machine."""
    if library := prebuilt.find():
        try:
            return _open(library)
        except OSError as error:  # such as an OpenMP that is not the one of torch
            logger.warning('the operators that came with the package do not load: %s', error)
    return _load_compiled()


def _load_compiled() -> ctypes.CDLL:
    """Loads the library from the first private folder that has it or takes it."""
    if os.name != 'posix':
        raise BuildError('compiled operators need Linux or macOS')
    compiler = find_compiler()
    identity = _identity(compiler)
    problem: OSError = cache.UntrustedError('no folder is private')
    with cache.private_folders() as folders:
        for folder in folders:
            try:
                return _open(cache.find(folder, identity) or _build(compiler, folder, identity))
            except OSError as error:  # such as a full disk
                logger.warning('compiled operators are not kept in %s: %s', folder, error)
                problem = error
    raise problem


def _identity(compiler: list[str]) -> str:
    """Returns a name for what the compiler makes of the sources on this machine."""
    probe = [*compiler, NATIVE, '-dM', '-E', '-x', 'c++', os.devnull]
    (macros,) = run([probe], build_deadline())
    identity = hashlib.sha256('\n'.join([*compiler, *FLAGS, NATIVE]).encode() + macros)
    for path in (*SOURCES, *sorted(HEADERS.glob('*.h'))):
        identity.update(path.read_bytes())
    return identity.hexdigest()[:16]


def _build(compiler: list[str], folder: Path, identity: str) -> Path:
    """Returns the library in a private folder, compiled by this process or by another."""
    deadline = build_deadline()
    with cache.locked(folder, identity, deadline):
        if found := cache.find(folder, identity):
            return found
        with tempfile.TemporaryDirectory(prefix=cache.PREFIX, dir=folder) as unfinished:
            library = compile_library(compiler, NATIVE, Path(unfinished), deadline)
            return cache.put(library, folder, identity)


def compile_library(compiler: list[str], march: str, folder: Path, deadline: float) -> Path:
    """Compiles and links the sources; returns the library.

    Args:
        compiler: The command and its first arguments.
        march: The flag that names the instruction set.
        folder: Where the library and its objects are written.
        deadline: When to give up, in seconds of `time.monotonic`.

    Raises:
        BuildError: If it cannot be compiled, or not be loaded here.
    """
    objects = [folder / f'{source.stem}.o' for source in SOURCES]
    compile_one = [*compiler, *FLAGS, march, f'-I{HEADERS}', '-c']
    pairs = zip(SOURCES, objects, strict=True)
    run([[*compile_one, source, '-o', compiled] for source, compiled in pairs], deadline)
    library = folder / 'operators.so'
    # linked without OpenMP: torch has loaded one already, and two would fight for the cores
    undefined = ['-undefined', 'dynamic_lookup'] if sys.platform == 'darwin' else []
    run([[*compiler, '-shared', *undefined, *objects, '-o', library]], deadline)
    try:
        _try_to_open(library)
    except OSError:  # this compiler's OpenMP is not the one of torch
        _link_with_openmp(compiler, objects, library, deadline)
    return library


def compile_all(folder: Path) -> None:
    """Compiles the libraries that a wheel carries into a new folder; see `prebuilt.py`.

    Raises:
        BuildError: If one cannot be compiled.
    """
    folder.mkdir(parents=True)
    for capability, march in prebuilt.MARCH.items():
        with tempfile.TemporaryDirectory() as unfinished:
            library = compile_library(find_compiler(), march, Path(unfinished), build_deadline())
            shutil.copy(library, prebuilt.place(folder, capability))


def _link_with_openmp(
    compiler: list[str], objects: list[Path], library: Path, deadline: float
) -> None:
    try:
        run([[*compiler, '-shared', '-fopenmp', *objects, '-o', library]], deadline)
        _try_to_open(library)
    except (BuildError, OSError) as error:
        raise BuildError(
            f'no OpenMP of {compiler[0]} can be loaded; install it (for clang: libomp) or name '
            f'another compiler in CXX: {error}'
        ) from error


def _try_to_open(library: Path) -> None:
    """Opens a new library, first in another process, which a broken one would kill."""
    load = 'import ctypes, sys; ctypes.CDLL(sys.argv[1])'
    status = subprocess.run([sys.executable, '-c', load, library], capture_output=True).returncode
    if status < 0:
        raise BuildError(f'the compiler made a library that crashes (signal {-status})')
    _open(library)


def _open(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)
