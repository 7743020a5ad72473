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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

HEADERS = Path(__file__).parent / 'csrc'
SOURCES = tuple(sorted(Path(__file__).parent.glob('*/csrc/*.cpp')))
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


def num_threads() -> int:
    """Returns how many threads a call may use.

    The libraries share torch's OpenMP, whose threads do not survive a fork: a forked child, such
    as a worker of a DataLoader, computes alone.
    """
    return torch.get_num_threads() if os.getpid() == _LOADED_IN else 1


_LOADED_IN = os.getpid()


class Tasks(ctypes.Structure):
    """`Tasks` of csrc/rows.h: rows of a `(B, L, D)` tensor, cut into pieces of work."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ('batch', 'length', 'channels', 'rows')),
        ('threads', ctypes.c_int),
    ]

    @classmethod
    def of(cls, x: Tensor, rows: int = 64) -> 'Tasks':
        """Cuts `(B, L, D)` into tasks of at most `rows` rows of one image."""
        return cls(*x.shape[:2], x.shape[2], rows, num_threads())

    @property
    def number(self) -> int:
        return self.batch * -(-self.length // self.rows)


def call(name: str, dtype: torch.dtype, *arguments: object) -> None:
    """Calls the compiled function `name` in its version for float32 or float64.

    Tensors are passed as pointers, None as a null pointer, structures by reference, tuples
    (strides) as arrays of int64, int as int64 and float as double.
    """
    suffix = {torch.float32: 'float', torch.float64: 'double'}[dtype]
    function = getattr(load_library(), f'{name}_{suffix}')
    function(*(_as_c(argument) for argument in arguments))


def strided(*tensors: Tensor) -> tuple[Tensor | tuple[int, ...], ...]:
    """Returns each tensor followed by its strides, as `call` passes them."""
    return tuple(item for tensor in tensors for item in (tensor, tensor.stride()))


def contiguous_channels(x: Tensor) -> Tensor:
    """Returns `(B, L, D)` with neighbouring channels, which most tensors of a mixer have."""
    return x if x.stride(2) == 1 else x.contiguous()


def _as_c(argument: object) -> object:
    match argument:
        case Tensor():
            return ctypes.c_void_p(argument.data_ptr())
        case ctypes.Structure():
            return ctypes.byref(argument)
        case None:
            return None
        case tuple():
            return (ctypes.c_int64 * len(argument))(*argument)
        case int():
            return ctypes.c_int64(argument)
        case float():
            return ctypes.c_double(argument)
    raise TypeError(f'cannot be passed to C: {argument!r}')


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
def _locked(path: Path):
    """Lets one process in at a time."""
    import fcntl  # not on Windows, where there is no backend that needs it

    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
