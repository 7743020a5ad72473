"""Fair timing: the candidates take turns, each with the same tensors in the same process."""

import functools
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import torch
from rich.progress import Progress
from torch import Tensor

# One repetition of a candidate; returns the seconds that each of its phases took.
Repetition = Callable[[], dict[str, float]]

# What an operator returns.
Output = Tensor | Sequence[Tensor]


def timed(call: Callable[[], object], device: str = 'cpu', phase: str = 'step') -> dict[str, float]:
    """Calls once; returns the seconds that the device worked, under the name of the phase."""
    if device == 'cuda':
        return {phase: _time_on_gpu(call)}
    start = perf_counter()
    call()
    return {phase: perf_counter() - start}


def _time_on_gpu(call: Callable[[], object]) -> float:
    """Clears a gigabyte first: the caches are cold, and launches wait in the queue meanwhile."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    gigabyte().zero_()
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


@functools.cache
def gigabyte() -> Tensor:
    """Returns memory of the GPU, always the same."""
    return torch.empty(2**30, dtype=torch.uint8, device='cuda')


def captured(step: Callable[[], object]) -> Callable[[], object]:
    """Returns a function that launches all kernels of a step at once, as a CUDA graph.

    What Python and the launches take is left out: the rest is what the kernels take.
    """
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # what is set up with the first calls cannot be captured
        for _ in range(3):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def forward_backward(
    call: Callable[[], Output],
    inputs: Sequence[Tensor],
    gradient: Sequence[Tensor],
    device: str = 'cpu',
) -> dict[str, float]:
    """Runs forward and backward once; returns the seconds of each and of both.

    Args:
        call: Computes outputs of the inputs.
        inputs: The tensors whose gradients are wanted.
        gradient: Those of the outputs.
        device: `cpu` or `cuda`.
    """
    outputs: list[Output] = []
    seconds = timed(lambda: outputs.append(call()), device, 'forward')
    seconds |= timed(lambda: gradients(outputs[0], inputs, gradient), device, 'backward')
    return seconds | {'both': sum(seconds.values())}


def gradients(y: Output, inputs: Sequence[Tensor], gradient: Sequence[Tensor]) -> list[Tensor]:
    """Returns the gradients of the inputs; other packages may leave some out."""
    found = torch.autograd.grad(y, inputs, gradient, allow_unused=True)
    return [x for x in found if x is not None]


def interleave(
    candidates: Mapping[str, Repetition], repeats: int, budget: float, progress: Progress
) -> dict[str, dict[str, list[float]]]:
    """Repeats the candidates in turn, A B A B …, so that noise of the machine hits all alike.

    Args:
        candidates: What to measure, each of which has run before.
        repeats: Number of rounds.
        budget: Seconds after which a candidate sits out the remaining rounds.
        progress: Shows how far it is.

    Returns:
        For every candidate the seconds of each phase, one per repetition.
    """
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in candidates}
    spent = dict.fromkeys(candidates, 0.0)
    task = progress.add_task('', total=repeats * len(candidates))
    for _ in range(repeats):
        for name, repetition in candidates.items():
            progress.update(task, description=name, advance=1)
            if spent[name] >= budget and samples[name]:
                continue
            start = perf_counter()
            samples[name].append(repetition())
            spent[name] += perf_counter() - start
    progress.remove_task(task)
    return {
        name: {phase: [sample[phase] for sample in of_name] for phase in of_name[0]}
        for name, of_name in samples.items()
    }


def copy_rate() -> float:
    """Returns the bytes that the GPU reads and writes in a second of copying."""
    source, target = gigabyte().chunk(2)
    return 2 * source.nbytes / _fastest(lambda: target.copy_(source))


def matrix_rate(dtype: torch.dtype) -> float:
    """Returns the operations in a second of a large matrix product on the GPU."""
    side = 8192 if dtype.itemsize == 2 else 4096
    a, b = (torch.randn(side, side, dtype=dtype, device='cuda') for _ in range(2))
    return 2 * side**3 / _fastest(lambda: a @ b)


def _fastest(call: Callable[[], object]) -> float:
    return min(_time_on_gpu(call) for _ in range(10))
