"""Times the operators of the mixers with all their backends, beside those of other packages.

All candidates get the same tensors in one process and take turns; forward and backward run through
autograd. On a CPU, peak memory is that of one repetition in a process of its own; on a GPU, that of
the allocator: both above inputs and outputs. `first_s` is the first call, which loads and compiles.
`gb_per_s` counts each input, output and gradient once. Writes OUT/ops.csv, and OUT/ops.png where
matplotlib is installed.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mmdefocus.utils.command import command
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from shared.arguments import DTYPES, Parser, Shape, positive, show_shape
from shared.measure import (
    Output,
    Repetition,
    copy_rate,
    forward_backward,
    gradients,
    interleave,
    matrix_rate,
)
from shared.operators import SUBJECTS, Call, as_list, candidates
from shared.plot import Labels, Point, save_plot
from shared.report import Row, environment, mebibytes, save_csv, show, spread
from shared.trial import added_peak_memory, peak_memory_alone, try_out

BASE_AT_224 = Shape(4, 197, 1536, 16)
LABELS = Labels('tokens', 'forward + backward, ms', 'peak above inputs and outputs, MiB')

# What to compare for each operator.
Chosen = dict[str, dict[str, Callable[..., Output]]]


def add_arguments(parser: Parser) -> None:
    """Adds what the command line may hold."""
    parser.add_device()
    parser.add_argument('--dtype', choices=DTYPES, default='float32')
    parser.add_argument(
        '--op', nargs='+', choices=SUBJECTS, default=[*SUBJECTS], help='default: all of them'
    )
    parser.add_shapes(BASE_AT_224)
    parser.add_argument(
        '--lengths', nargs='+', type=positive, metavar='L', help='several lengths in place of L'
    )
    parser.add_argument(
        '--backends', nargs='+', metavar='NAME', help='backends and packages (default: all)'
    )


def settle(args: argparse.Namespace) -> None:
    """Gives the arguments that depend on others their values."""
    if args.lengths:
        args.shape = [s._replace(length=length) for s in args.shape for length in args.lengths]


def choose(args: argparse.Namespace, console: Console) -> Chosen:
    """Returns what to compare for each operator; a line says why one cannot run.

    Raises:
        InputError: If no operator has a backend or peer that is wanted.
    """
    table = {name: candidates(name, args.device) for name in args.op}
    known = list(dict.fromkeys(candidate for found in table.values() for candidate in found))
    for candidate in args.backends or ():
        if candidate not in known:
            raise InputError(
                f'--backends: {", ".join(args.op)} has no backend {candidate!r}, choose from '
                f'{", ".join(known)}'
            )
    chosen = {name: {} for name in args.op}
    for name, found in table.items():
        for candidate, function in found.items():
            if args.backends and candidate not in args.backends:
                continue
            if isinstance(function, str):
                console.print(f'{name}: {candidate} is skipped: {function}', highlight=False)
            else:
                chosen[name][candidate] = function
    if not any(chosen.values()):
        raise InputError('--backends: none of those that are wanted can run')
    return chosen


def peak_memory(chosen: Chosen, args: argparse.Namespace) -> int:
    """Returns the bytes that one candidate takes at its peak, above inputs and outputs.

    Raises:
        InputError: If there is not exactly one candidate, on a CPU and of one shape.
    """
    pairs = [(name, function) for name, found in chosen.items() for function in found.values()]
    if len(pairs) != 1 or len(args.shape) != 1 or args.device != 'cpu':
        raise InputError('--peak-memory: expected one --op, one of --backends, one --shape and cpu')
    (name, function), shape = pairs[0], args.shape[0]
    # what is loaded or started on the first call does not count
    small = prepare(name, shape._replace(batch=1, length=2), args)
    forward_backward(small.of(function), small.inputs, small.gradient)
    call = prepare(name, shape, args)
    outputs = []

    def run() -> None:
        y = call.of(function)()
        outputs.extend(as_list(y))
        outputs.extend(gradients(y, call.inputs, call.gradient))

    added = added_peak_memory(run)
    return max(0, added - _bytes(outputs))


def prepare(name: str, shape: Shape, args: argparse.Namespace) -> Call:
    """Returns the call that all candidates for an operator get."""
    return SUBJECTS[name].call(shape, DTYPES[args.dtype], args.device)


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(x.nbytes for x in tensors)


def measure(
    name: str,
    shape: Shape,
    found: dict[str, Callable[..., Output]],
    args: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Returns the rows of one operator at one shape."""
    call = prepare(name, shape, args)

    def peak_alone(candidate: str) -> int | None:
        what = (
            '--op',
            name,
            '--backends',
            candidate,
            '--shape',
            show_shape(shape),
            '--dtype',
            args.dtype,
        )
        options = ('--peak-memory', *what, '--threads', args.threads)
        return peak_memory_alone(__file__, options, timeout=args.budget)

    def repetition(function: Callable[..., Output]) -> Repetition:
        run = call.of(function)
        return partial(forward_backward, run, call.inputs, call.gradient, args.device)

    builds = {candidate: partial(repetition, function) for candidate, function in found.items()}
    where = f'{name} at L={shape.length}'
    trials = try_out(builds, args.device, peak_alone, where, progress)
    seconds = interleave(
        {candidate: trial.repeat for candidate, trial in trials.items()},
        args.repeats,
        args.budget,
        progress,
    )
    into, out = _bytes(call.inputs), _bytes(call.gradient)
    moved = {'forward': into + out, 'backward': 2 * into + out, 'both': 3 * into + 2 * out}
    states = torch.Size(shape).numel() * DTYPES[args.dtype].itemsize
    rows = []
    for candidate, phases in seconds.items():
        peak = trials[candidate].peak
        if args.device == 'cuda':
            peak = max(0, peak - into - out)
        for phase, samples in phases.items():
            row = {'op': name, 'backend': candidate, 'phase': phase, **shape._asdict()}
            row |= spread(samples)
            first = next(iter(seconds.values()))[phase]
            row['times_first'] = row['median_ms'] / spread(first)['median_ms']
            row['peak_mib'] = mebibytes(peak)
            row['peak_per_BLDN'] = None if peak is None else peak / states
            row['first_s'] = trials[candidate].first_s
            row['gb_per_s'] = moved[phase] / row['median_ms'] / 1e6
            rows.append(row)
    return rows


def save_ops_plot(rows: Sequence[Row], args: argparse.Namespace, console: Console) -> None:
    """Draws time and peak memory of forward and backward against the length, an operator a row."""
    columns = ('op', 'backend', 'length', 'median_ms', 'min_ms', 'max_ms', 'peak_mib')
    points = [Point(*(row[key] for key in columns)) for row in rows if row['phase'] == 'both']
    save_plot(args.out / 'ops.png', points, LABELS, console)


@command(add_arguments, Parser)
def main(args: argparse.Namespace) -> None:
    """Measures, shows and saves."""
    console = make_console()
    settle(args)
    about = environment(args.threads, args.device, dtype=args.dtype)
    chosen = choose(args, console)
    if args.peak_memory:
        print(peak_memory(chosen, args))
        return
    if args.device == 'cuda':
        about['copy_gb_per_s'] = copy_rate() / 1e9
        about['matrix_tflops'] = matrix_rate(DTYPES[args.dtype]) / 1e12
    path, rows = args.out / 'ops.csv', []
    with Progress(console=console, transient=True) as progress:
        for name, found in chosen.items():
            for shape in args.shape:
                rows += measure(name, shape, found, args, progress)
                save_csv(path, rows, about)
    show(path, rows, about, group='length', console=console, common=('repeats', *Shape._fields))
    save_ops_plot(rows, args, console)


if __name__ == '__main__':
    main()
