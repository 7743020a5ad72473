"""The first calls of the candidates: which of them run, how long that takes, and in what memory."""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import Progress

from mmdefocus.utils.errors import one_line

from .measure import Repetition, gigabyte, timed

WARM_UPS = 3  # on a GPU: torch.compile may record the kernels in the second call and the third
MEMORY_SHARE = 0.8  # of the free memory, what a process may take before it is given up


class Trial(NamedTuple):
    """A candidate that can be timed, the seconds of its first call and its peak memory in bytes.

    The peak is None where the system is not Linux, which alone lets a process reset its peak.
    """

    repeat: Repetition
    first_s: float
    peak: int | None


def try_out(
    builds: Mapping[str, Callable[[], Repetition]],
    device: str,
    peak_alone: Callable[[str], int | None],
    where: str,
    progress: Progress,
) -> dict[str, Trial]:
    """Builds the candidates and calls each once; a line says why one is skipped.

    Args:
        builds: What makes the candidates.
        device: `cpu` or `cuda`. On a GPU, memory is what the allocator holds during the next calls
            above what it held before the candidate was built.
        peak_alone: Measures the memory of a candidate on the CPU, see `peak_memory_alone`.
        where: The place in that line: an operator and its length.
        progress: Shows how far it is.
    """
    trials = {}
    task = progress.add_task('', total=len(builds))
    for name, build in builds.items():
        progress.update(task, description=f'{where}: trying {name}', advance=1)
        try:
            if device == 'cuda':
                trials[name] = _try_on_gpu(build)
            else:
                peak = peak_alone(name)
                repeat = build()
                trials[name] = Trial(repeat, timed(repeat)['step'], peak)
        except Exception as error:  # a kernel or a build of another package may raise anything
            reason = one_line(error)
            progress.console.print(f'{where}: {name} is skipped: {reason}', highlight=False)
    progress.remove_task(task)
    return trials


def _try_on_gpu(build: Callable[[], Repetition]) -> Trial:
    gigabyte()  # is there before and after
    before = torch.cuda.memory_allocated()
    repeat = build()
    first_s = timed(repeat, 'cuda')['step']
    torch.cuda.reset_peak_memory_stats()
    for _ in range(WARM_UPS):
        repeat()
    return Trial(repeat, first_s, torch.cuda.max_memory_allocated() - before)


def peak_memory_alone(
    script: str, arguments: Iterable[object], timeout: float | None = None
) -> int | None:
    """Runs a tool that prints its peak memory, in a process of its own.

    Args:
        script: The file of the tool.
        arguments: Its arguments.
        timeout: Seconds after which it is stopped.

    Returns:
        The bytes that the tool prints; None where the system is not Linux.

    Raises:
        ChildProcessError: With the last line of the tool, if it fails.
        MemoryError: If the tool needs more memory than there is.
        TimeoutError: If it takes longer than `timeout`.
    """
    if sys.platform != 'linux':
        return None
    command = [sys.executable, script, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f'a repetition takes more than {timeout:g} s') from None
    if done.returncode == 0:
        return int(done.stdout.splitlines()[-1])  # imports may print, too
    last = (done.stderr.strip().splitlines() or [f'ended with status {done.returncode}'])[-1]
    if 'MemoryError' in last:
        raise MemoryError('not enough memory')
    raise ChildProcessError(last)


def added_peak_memory(run: Callable[[], object]) -> int:
    """Returns by how many bytes a call raises the memory of this process at its peak.

    Meant for a process of its own, which it keeps from taking more than 80 % of the free memory.

    Raises:
        MemoryError: If the call needs more than that.
        OSError: If the system is not Linux.
    """
    _limit_memory()
    _release_unused()
    Path('/proc/self/clear_refs').write_text('5')  # the peak becomes what is used now
    before = _peak_bytes()
    try:
        run()
    except RuntimeError as error:
        if 'allocate memory' in str(error):
            raise MemoryError from error
        raise
    return _peak_bytes() - before


def _peak_bytes() -> int:
    # not getrusage: its ru_maxrss begins with the memory of the process that started this one
    return _read_kib('/proc/self/status', 'VmHWM')


def _release_unused() -> None:
    """Gives back what was freed before, or it would serve new tensors unseen."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):  # glibc
        trim(0)


def _limit_memory() -> None:
    import resource  # not on Windows

    limit = int(MEMORY_SHARE * _read_kib('/proc/meminfo', 'MemAvailable'))
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _read_kib(file: str, key: str) -> int:
    for line in Path(file).read_text().splitlines():
        if line.startswith(f'{key}:'):
            return 1024 * int(line.split()[1])
    raise OSError(f'{file} has no line {key}')
