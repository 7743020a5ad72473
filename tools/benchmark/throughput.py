"""Times training steps and inference of whole models against the resolution, beside DeiT of timm.

A training step is forward, loss, backward and AdamW; the head is a linear layer on the CLS token.
All models take turns in one process. `linear` is the time of a model's linear layers alone, at the
shapes that they have in it: the least that a step could cost. Peak memory is that of a process
that builds the model and runs one step, above what importing takes. Writes OUT/throughput.csv and
OUT/throughput.png.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress

from mmdefocus.benchmark.arguments import Parser, positive
from mmdefocus.benchmark.measure import added_peak_memory, interleave, peak_memory_alone, timed
from mmdefocus.benchmark.models import MODELS, make_linear_step, make_step
from mmdefocus.benchmark.report import (
    Row,
    environment,
    make_console,
    print_table,
    save,
    save_csv,
    spread,
)
from mmdefocus.ops import available_backends
from mmdefocus.utils.errors import InputError, one_line, one_line_errors
from mmdefocus.utils.memory import keep_freed_memory

DEFAULT_PIXELS = 4 * 224**2  # in a batch


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = Parser(__doc__.splitlines()[0])
    parser.add_argument(
        '--models',
        nargs='+',
        choices=MODELS,
        default=[name for name in MODELS if 'tiny' not in name],
        help='default: all but the tiny ones',
    )
    parser.add_argument(
        '--resolutions', nargs='+', type=positive, default=[224, 384, 512, 1024], metavar='PIXELS'
    )
    parser.add_argument(
        '--batch-size',
        nargs='+',
        type=positive,
        metavar='N',
        help='one, or one for each resolution (default: the pixels of 4 images of 224, at least 1)',
    )
    parser.add_modes()
    args = parser.parse_args(argv)
    count = len(args.resolutions)
    if args.batch_size is None:
        args.batch_size = [max(1, round(DEFAULT_PIXELS / side**2)) for side in args.resolutions]
    elif len(args.batch_size) == 1:
        args.batch_size *= count
    elif len(args.batch_size) != count:
        parser.error(
            f'argument --batch-size: expected 1 number or {count}, one for each resolution, '
            f'got {len(args.batch_size)}'
        )
    return args


def find_models(names: Sequence[str], console: Console) -> list[str]:
    """Leaves out, with a word, the models of a package that is not installed."""
    missing = None
    if any(name.startswith('deit') for name in names):
        try:
            import timm  # noqa: F401
        except Exception as error:  # a broken installation may raise anything
            missing = one_line(error)
    found = [name for name in names if not (missing and name.startswith('deit'))]
    for name in names:
        if name not in found:
            console.print(f'{name} is skipped: {missing}', highlight=False)
    if not found:
        raise InputError('--models: none of those that are wanted can run')
    return found


def scan_backend() -> str:
    """Returns the backend that serves the selective scan."""
    states = available_backends('cpu')['selective_scan']
    first = next(name for name, state in states.items() if state == 'available')
    return os.environ.get('MMDEFOCUS_BACKEND', first)


def peak_memory(name: str, mode: str, resolution: int, batch_size: int) -> int:
    """Returns the bytes of a model and one step at their peak."""
    family = name.rpartition('_')[0]
    # what is imported or started on the first step does not count
    make_step(MODELS[f'{family}_tiny'](32), mode, torch.randn(1, 3, 32, 32))()

    def run() -> None:
        images = torch.randn(batch_size, 3, resolution, resolution)
        make_step(MODELS[name](resolution), mode, images)()

    return added_peak_memory(run)


def measure_memory(
    names: Sequence[str], mode: str, resolution: int, batch_size: int, threads: int, task: Progress
) -> dict[str, int | None]:
    """Returns the peak memory of the models that can run; a line says why one cannot."""
    found = {}
    bar = task.add_task('', total=len(names))
    for name in names:
        task.update(bar, description=f'{resolution} {mode}: memory of {name}', advance=1)
        size = ('--resolutions', resolution, '--batch-size', batch_size, '--threads', threads)
        peak = peak_memory_alone(__file__, ['--peak-memory', '--models', name, f'--{mode}', *size])
        if isinstance(peak, str):
            where = f'{name} is skipped at {resolution} ({mode})'
            task.console.print(f'{where}: {peak}', highlight=False)
        else:
            found[name] = peak
    task.remove_task(bar)
    return found


def measure(
    names: Sequence[str],
    resolution: int,
    batch_size: int,
    args: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Returns the rows of a resolution."""
    memory = {
        mode: measure_memory(names, mode, resolution, batch_size, args.threads, progress)
        for mode in args.modes
    }
    torch.manual_seed(0)
    images = torch.randn(batch_size, 3, resolution, resolution)
    models = {
        name: MODELS[name](resolution) for name in names if any(name in m for m in memory.values())
    }
    rows = []
    for mode in args.modes:
        candidates = {}
        for name in memory[mode]:
            candidates[name] = partial(timed, make_step(models[name], mode, images))
            linear = make_linear_step(models[name], mode, images)
            candidates[f'{name} linear'] = partial(timed, linear)
        seconds = interleave(candidates, args.repeats, args.budget, progress)
        results = {name: spread(phases['step']) for name, phases in seconds.items()}
        for name, peak in memory[mode].items():
            step = results[name]
            linear = results[f'{name} linear']['median_ms']
            deit = results.get(f'deit_{name.rpartition("_")[2]}')
            rows.append(
                {
                    'model': name,
                    'mode': mode,
                    'resolution': resolution,
                    'batch': batch_size,
                    **step,
                    'images_per_s': 1e3 * batch_size / step['median_ms'],
                    'linear_ms': linear,
                    'times_linear': step['median_ms'] / linear,
                    'times_deit': deit and step['median_ms'] / deit['median_ms'],
                    'peak_mib': None if peak is None else peak / 2**20,
                }
            )
    return rows


def plot(rows: Sequence[Row]) -> Figure:
    """Draws time and memory for each image against the resolution, a mode a row."""
    modes = list(dict.fromkeys(row['mode'] for row in rows))
    figure = Figure(figsize=(10, 4 * len(modes)), layout='constrained')
    axes = figure.subplots(len(modes), 2, squeeze=False)
    for mode, (time, memory) in zip(modes, axes, strict=True):
        of_mode = [row for row in rows if row['mode'] == mode]
        for name in dict.fromkeys(row['model'] for row in of_mode):
            of_model = [row for row in of_mode if row['model'] == name]
            sides = [row['resolution'] for row in of_model]
            median, low, high = (
                [row[key] / row['batch'] for row in of_model]
                for key in ('median_ms', 'min_ms', 'max_ms')
            )
            (line,) = time.plot(sides, median, marker='o', label=name)
            time.fill_between(sides, low, high, color=line.get_color(), alpha=0.2)
            peaks = [row['peak_mib'] for row in of_model]
            if None not in peaks:
                memory.plot(sides, peaks, marker='o', label=name)
        time.set(title=mode, ylabel='ms per image', xscale='log', yscale='log')
        memory.set(title=mode, ylabel='peak of the process, MiB')
        for panel in (time, memory):
            panel.set(xlabel='side of the image in pixels')
            ticks = sorted({row['resolution'] for row in of_mode})
            panel.set_xticks(ticks, map(str, ticks))
            panel.set_xticks([], minor=True)
            panel.grid(alpha=0.3)
            panel.legend()
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, shows and saves."""
    keep_freed_memory()
    console = make_console()
    with one_line_errors():
        args = parse_args(argv)
        about = environment(args.threads, dtype='float32', selective_scan=scan_backend())
        names = find_models(args.models, console)
        pairs = list(zip(args.resolutions, args.batch_size, strict=True))
        if args.peak_memory:
            if len(names) * len(args.modes) * len(pairs) != 1:
                raise InputError('--peak-memory: expected one model, one mode and one resolution')
            print(peak_memory(names[0], args.modes[0], *pairs[0]))
            return
        rows = []
        with Progress(console=console, transient=True) as progress:
            for resolution, batch_size in pairs:
                rows += measure(names, resolution, batch_size, args, progress)
                save_csv(args.out / 'throughput.csv', rows, about)
        title = ', '.join(f'{key} {value}' for key, value in about.items())
        print_table(rows, title, hidden=(), group='resolution', console=console)
        save(args.out / 'throughput.png', lambda beside: plot(rows).savefig(beside, dpi=120))
    console.print(f'wrote {args.out}/throughput.csv and .png', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
