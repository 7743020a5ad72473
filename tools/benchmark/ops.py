"""Times the operators of the mixers with all their backends, beside those of other packages.

All candidates get the same tensors in one process and take turns; forward and backward run through
autograd. Peak memory is that of one repetition in a process of its own, above inputs and outputs.
Writes OUT/ops.csv and OUT/ops.png.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mmdefocus.benchmark.arguments import Parser, positive
from mmdefocus.benchmark.measure import (
    added_peak_memory,
    forward_backward,
    gradients,
    interleave,
    peak_memory_alone,
)
from mmdefocus.benchmark.operators import DTYPES, OPERATORS, Shape, candidates
from mmdefocus.benchmark.report import (
    Row,
    environment,
    make_console,
    print_table,
    save,
    save_csv,
    spread,
)
from mmdefocus.utils.errors import InputError, one_line_errors
from mmdefocus.utils.memory import keep_freed_memory


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = Parser(__doc__.splitlines()[0])
    parser.add_argument(
        '--op', nargs='+', choices=OPERATORS, default=[*OPERATORS], help='default: all of them'
    )
    parser.add_argument(
        '--shape',
        type=read_shape,
        default=Shape(4, 197, 1536, 16),
        metavar='B,L,D,N',
        help='batch, tokens, channels inside the mixer and states (default: 4,197,1536,16)',
    )
    parser.add_argument(
        '--lengths', nargs='+', type=positive, metavar='L', help='several lengths in place of L'
    )
    parser.add_argument(
        '--backends', nargs='+', metavar='NAME', help='backends and packages (default: all)'
    )
    parser.add_argument('--dtype', choices=DTYPES, default='float32')
    return parser.parse_args(argv)


def read_shape(text: str) -> Shape:
    """Reads `B,L,D,N`."""
    numbers = text.split(',')
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f'expected four integers B,L,D,N, got {text!r}')
    return Shape(*map(positive, numbers))


def find_candidates(
    names: Sequence[str], wanted: Sequence[str] | None, console: Console
) -> dict[str, dict[str, Callable[..., Tensor]]]:
    """Returns what to compare for each operator; a line says why one cannot run.

    Raises:
        InputError: If no operator has a backend or peer that is wanted.
    """
    table = {name: candidates(name) for name in names}
    known = list(dict.fromkeys(candidate for found in table.values() for candidate in found))
    for candidate in wanted or ():
        if candidate not in known:
            raise InputError(
                f'--backends: {", ".join(names)} has no backend {candidate!r}, choose from '
                f'{", ".join(known)}'
            )
    chosen = {name: {} for name in names}
    for name, found in table.items():
        for candidate, function in found.items():
            if wanted and candidate not in wanted:
                continue
            if isinstance(function, str):
                console.print(f'{name}: {candidate} is skipped: {function}', highlight=False)
            else:
                chosen[name][candidate] = function
    return chosen


def prepare(name: str, shape: Shape, dtype: str) -> tuple[list[Tensor], Tensor | list[Tensor]]:
    """Returns the inputs, which require gradients, and the gradient of the output."""
    torch.manual_seed(0)
    inputs, gradient = OPERATORS[name].arguments(shape, DTYPES[dtype])
    return [x.requires_grad_() for x in inputs], gradient


def peak_memory(name: str, function: Callable[..., Tensor], shape: Shape, dtype: str) -> int:
    """Returns the bytes that forward and backward take at their peak above inputs and outputs."""
    # what is loaded or started on the first call does not count
    forward_backward(function, *prepare(name, shape._replace(batch=1, length=2), dtype))
    inputs, gradient = prepare(name, shape, dtype)
    outputs = []

    def run() -> None:
        y = function(*inputs)
        outputs.extend(y if isinstance(y, tuple) else [y])
        outputs.extend(gradients(y, inputs, gradient))

    added = added_peak_memory(run)
    return max(0, added - sum(x.nbytes for x in outputs))


def print_peak_memory(
    chosen: dict[str, dict[str, Callable[..., Tensor]]], args: argparse.Namespace
) -> None:
    """Prints a number alone, for the process that has started this one."""
    pairs = [(name, function) for name, found in chosen.items() for function in found.values()]
    if len(pairs) != 1 or args.lengths:
        raise InputError('--peak-memory: expected one --op, one of --backends and no --lengths')
    ((name, function),) = pairs
    print(peak_memory(name, function, args.shape, args.dtype))


def measure(
    name: str,
    shape: Shape,
    found: dict[str, Callable[..., Tensor]],
    args: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Returns the rows of one operator at one length."""
    memory = {}
    task = progress.add_task('', total=len(found))
    for candidate in found:
        progress.update(task, description=f'{name} L={shape.length}: memory of {candidate}')
        options = ('--op', name, '--backends', candidate, '--shape', ','.join(map(str, shape)))
        memory[candidate] = peak_memory_alone(
            __file__,
            ['--peak-memory', *options, '--dtype', args.dtype, '--threads', args.threads],
            timeout=args.budget,
        )
        progress.advance(task)
        if isinstance(memory[candidate], str):
            progress.console.print(
                f'{name}: {candidate} is skipped at L={shape.length}: {memory[candidate]}',
                highlight=False,
            )
    progress.remove_task(task)

    inputs, gradient = prepare(name, shape, args.dtype)
    seconds = interleave(
        {
            candidate: partial(forward_backward, function, inputs, gradient)
            for candidate, function in found.items()
            if not isinstance(memory[candidate], str)
        },
        args.repeats,
        args.budget,
        progress,
    )
    states = torch.Size(shape).numel() * DTYPES[args.dtype].itemsize
    rows = []
    for candidate, phases in seconds.items():
        for phase, samples in phases.items():
            row = {'op': name, 'backend': candidate, 'phase': phase, **shape._asdict()}
            row |= spread(samples)
            first = next(iter(seconds.values()))[phase]
            row['times_first'] = row['median_ms'] / spread(first)['median_ms']
            peak = memory[candidate]
            row['peak_mib'] = None if peak is None else peak / 2**20
            row['peak_per_BLDN'] = None if peak is None else peak / states
            rows.append(row)
    return rows


def plot(rows: Sequence[Row]) -> Figure:
    """Draws time and peak memory of forward and backward against the length, an operator a row."""
    names = list(dict.fromkeys(row['op'] for row in rows))
    figure = Figure(figsize=(10, 3.5 * len(names)), layout='constrained')
    for name, (time, memory) in zip(
        names, figure.subplots(len(names), 2, squeeze=False), strict=True
    ):
        of_name = [row for row in rows if row['op'] == name and row['phase'] == 'both']
        for backend in dict.fromkeys(row['backend'] for row in of_name):
            of_backend = [row for row in of_name if row['backend'] == backend]
            lengths, median, low, high, peak = (
                [row[key] for row in of_backend]
                for key in ('length', 'median_ms', 'min_ms', 'max_ms', 'peak_mib')
            )
            (line,) = time.plot(lengths, median, marker='o', label=backend)
            time.fill_between(lengths, low, high, color=line.get_color(), alpha=0.2)
            if None not in peak:
                memory.plot(lengths, peak, marker='o', label=backend)
        time.set(title=name, ylabel='forward + backward, ms')
        memory.set(title=name, ylabel='peak above inputs and outputs, MiB')
        time.set(xscale='log', yscale='log')
        for axes in (time, memory):
            axes.set(xlabel='tokens')
            ticks = sorted({row['length'] for row in of_name})
            axes.set_xticks(ticks, map(str, ticks))
            axes.set_xticks([], minor=True)
            axes.grid(alpha=0.3)
            axes.legend()
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, shows and saves."""
    keep_freed_memory()
    console = make_console()
    with one_line_errors():
        args = parse_args(argv)
        about = environment(args.threads, dtype=args.dtype)
        chosen = find_candidates(args.op, args.backends, console)
        if not any(chosen.values()):
            raise InputError('--backends: none of those that are wanted can run')
        if args.peak_memory:
            print_peak_memory(chosen, args)
            return
        rows = []
        with Progress(console=console, transient=True) as progress:
            for name, found in chosen.items():
                for length in args.lengths or [args.shape.length]:
                    shape = args.shape._replace(length=length)
                    rows += measure(name, shape, found, args, progress)
                    save_csv(args.out / 'ops.csv', rows, about)
        sizes = ('batch', 'channels', 'state')
        title = ', '.join(f'{key} {value}' for key, value in about.items())
        title += ''.join(f', {key} {rows[0][key]}' for key in sizes)
        print_table(rows, title, hidden=sizes, group='length', console=console)
        save(args.out / 'ops.png', lambda beside: plot(rows).savefig(beside, dpi=120))
    console.print(f'wrote {args.out}/ops.csv and ops.png', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
