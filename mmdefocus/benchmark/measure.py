"""Fair measurements: timed repetitions that take turns, and the peak memory of a fresh process."""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import torch
from rich.progress import Progress
from torch import Tensor

# One repetition of a candidate; returns the seconds that each of its phases took.
Repetition = Callable[[], dict[str, float]]

MEMORY_SHARE = 0.8  # of the free memory, what a process may take before it is given up

# What an operator returns, and the gradient of that.
Output = Tensor | Sequence[Tensor]


def timed(call: Callable[[], object], device: str = 'cpu', phase: str = 'step') -> dict[str, float]:
    """Calls once; returns the seconds until the device is done, under the name of the phase."""
    _synchronize(device)
    start = perf_counter()
    call()
    _synchronize(device)
    return {phase: perf_counter() - start}


def _synchronize(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def forward_backward(
    function: Callable[..., Output], inputs: Sequence[Tensor], gradient: Output, device: str = 'cpu'
) -> dict[str, float]:
    """Runs forward and backward once; returns the seconds of each and of both."""
    outputs: list[Output] = []
    seconds = timed(lambda: outputs.append(function(*inputs)), device, 'forward')
    seconds |= timed(lambda: gradients(outputs[0], inputs, gradient), device, 'backward')
    return seconds | {'both': sum(seconds.values())}


def gradients(y: Output, inputs: Sequence[Tensor], gradient: Output) -> list[Tensor]:
    """Returns the gradients of the inputs; other packages may leave some out."""
    found = torch.autograd.grad(y, inputs, gradient, allow_unused=True)
    return [x for x in found if x is not None]


def interleave(
    candidates: Mapping[str, Repetition], repeats: int, budget: float, progress: Progress
) -> dict[str, dict[str, list[float]]]:
    """Repeats the candidates in turn, A B A B …, so that noise of the machine hits all alike.

    Args:
        candidates: What to measure; each runs once more before, to warm up.
        repeats: Number of rounds.
        budget: Seconds after which a candidate sits out the remaining rounds.
        progress: Shows how far it is.

    Returns:
        For every candidate the seconds of each phase, one per repetition.
    """
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in candidates}
    spent = dict.fromkeys(candidates, 0.0)
    task = progress.add_task('', total=(repeats + 1) * len(candidates))
    for index in range(repeats + 1):
        for name, repetition in candidates.items():
            progress.update(task, description=name, advance=1)
            if spent[name] >= budget and samples[name]:
                continue
            start = perf_counter()
            seconds = repetition()
            spent[name] += perf_counter() - start
            if index > 0:
                samples[name].append(seconds)
    progress.remove_task(task)
    return {
        name: {phase: [sample[phase] for sample in of_name] for phase in of_name[0]}
        for name, of_name in samples.items()
    }


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


def peak_memory_alone(
    script: str, arguments: Iterable[object], timeout: float | None = None
) -> int | str | None:
    """Runs a tool that prints its peak memory, in a process of its own.

    Args:
        script: The file of the tool.
        arguments: Its arguments.
        timeout: Seconds after which it is stopped.

    Returns:
        The bytes it prints, or why there are none; None where the system is not Linux, which
        alone lets a process reset its peak.
    """
    if sys.platform != 'linux':
        return None
    command = [sys.executable, script, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return f'a repetition takes more than {timeout:g} s'
    if done.returncode == 0:
        return int(done.stdout.splitlines()[-1])  # imports may print, too
    last = (done.stderr.strip().splitlines() or [f'ended with status {done.returncode}'])[-1]
    return 'not enough memory' if 'MemoryError' in last else last
