"""Times training steps and inference of whole models against the resolution, beside DeiT of timm.

A training step is forward, loss, backward and AdamW; the head is a linear layer on the CLS token.
All models take turns in one process. `linear` is the time of a model's linear layers alone, at the
shapes that they have in it: the least that a step could cost. On a CPU, peak memory is that of a
process that builds the model and runs one step, above what importing takes; on a GPU, that of the
allocator in the steps after the first, with the model. `first_s` is the first step, which loads and
compiles. Writes OUT/throughput.csv, and OUT/throughput.png where matplotlib is installed.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from mmdefocus.ops import available_backends
from mmdefocus.utils.command import command
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError, one_line
from shared.arguments import AUTOCAST_DTYPES, DTYPES, Parser, positive
from shared.measure import Repetition, captured, interleave, timed
from shared.models import (
    MODELS,
    make_linear_step,
    make_model,
    make_step,
    read_model,
    short_name,
)
from shared.plot import Labels, Point, save_plot
from shared.report import Row, environment, mebibytes, save_csv, show, spread
from shared.trial import added_peak_memory, peak_memory_alone, try_out

DEFAULT_PIXELS = 4 * 224**2  # in a batch
COMPILED = ' compiled'  # behind the name of a model
WARM_UP_SIDE = 64  # two patches of a section of 32 in a side
LABELS = Labels('side of the image in pixels', 'ms per image', 'peak of the process, MiB')


def add_arguments(parser: Parser) -> None:
    """Adds what the command line may hold."""
    parser.add_device()
    parser.add_argument('--dtype', choices=AUTOCAST_DTYPES, default='float32', help='of autocast')
    parser.add_argument(
        '--compile', choices=('no', 'too', 'only'), default='no', help='measure compiled models'
    )
    parser.add_argument(
        '--compile-mode',
        choices=('default', 'reduce-overhead'),
        default='default',
        help='of torch.compile; the second launches all kernels at once, as a CUDA graph',
    )
    parser.add_argument(
        '--cuda-graph',
        action='store_true',
        help='launch all kernels of a step at once: the time of the kernels alone, on a GPU',
    )
    parser.add_argument(
        '--models',
        nargs='+',
        type=read_model,
        default=[name for name in MODELS if 'tiny' not in name],
        metavar='MODEL',
        help=f'names or files of configs (default: all but the tiny ones): {", ".join(MODELS)}',
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


def settle(args: argparse.Namespace) -> None:
    """Gives the arguments that depend on others their values.

    Raises:
        InputError: If arguments do not go together.
    """
    args.models = [
        f'{name}{suffix}'
        for name in args.models
        for suffix in {'no': [''], 'too': ['', COMPILED], 'only': [COMPILED]}[args.compile]
    ]
    if args.cuda_graph and (args.device != 'cuda' or args.compile != 'no'):
        raise InputError('--cuda-graph: expected --device cuda and no --compile')
    count = len(args.resolutions)
    if args.batch_size is None:
        args.batch_size = [max(1, round(DEFAULT_PIXELS / side**2)) for side in args.resolutions]
    elif len(args.batch_size) == 1:
        args.batch_size *= count
    elif len(args.batch_size) != count:
        raise InputError(
            f'argument --batch-size: expected 1 number or {count}, one for each resolution, '
            f'got {len(args.batch_size)}'
        )


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


def scan_backend(device: str) -> str:
    """Returns the backend that serves the selective scan."""
    states = available_backends(device)['selective_scan']
    preferred = ('triton', *states) if device == 'cuda' else states
    first = next(name for name in preferred if states[name] == 'available')
    return os.environ.get('MMDEFOCUS_BACKEND', first)


def make_images(batch_size: int, side: int, device: str) -> Tensor:
    """Returns images of noise, always the same."""
    torch.manual_seed(0)
    return torch.randn(batch_size, 3, side, side, device=device)


def build(name: str, images: Tensor, mode: str, tiny: bool = False) -> nn.Module:
    """Builds a model where the images are; one that torch.compile makes on the first call."""
    side = images.shape[-1]
    model = make_model(name.removesuffix(COMPILED), side, tiny).to(images.device)
    return torch.compile(model, mode=mode) if name.endswith(COMPILED) else model


def peak_memory(args: argparse.Namespace) -> int:
    """Returns the bytes of a model and one step at their peak.

    Raises:
        InputError: If there is not exactly one model, mode and resolution, on a CPU.
    """
    several = len(args.models) * len(args.modes) * len(args.resolutions) != 1
    if several or args.device != 'cpu':
        raise InputError('--peak-memory: expected one model, one mode, one resolution and cpu')
    (name,), (mode,) = args.models, args.modes
    (side,), (batch_size,) = args.resolutions, args.batch_size

    def run(side: int, batch_size: int, tiny: bool) -> None:
        images = make_images(batch_size, side, args.device)
        make_step(build(name, images, args.compile_mode, tiny), mode, images, DTYPES[args.dtype])()

    # what is imported or started on the first step does not count
    run(WARM_UP_SIDE, 1, tiny=True)
    return added_peak_memory(lambda: run(side, batch_size, tiny=False))


def measure(
    mode: str, side: int, batch_size: int, args: argparse.Namespace, progress: Progress
) -> list[Row]:
    """Returns a row for each model, in one mode at one resolution."""
    images, dtype = make_images(batch_size, side, args.device), DTYPES[args.dtype]
    models: dict[str, nn.Module] = {}

    def peak_alone(name: str) -> int | None:
        compiled = 'only' if name.endswith(COMPILED) else 'no'
        what = ('--models', name.removesuffix(COMPILED), '--compile', compiled, f'--{mode}')
        size = ('--resolutions', side, '--batch-size', batch_size, '--dtype', args.dtype)
        options = ('--peak-memory', '--threads', args.threads)
        options += ('--compile-mode', args.compile_mode)
        return peak_memory_alone(__file__, (*what, *size, *options))

    def repetition(name: str) -> Repetition:
        models[name] = build(name, images, args.compile_mode)
        step = make_step(models[name], mode, images, dtype)
        return partial(timed, captured(step) if args.cuda_graph else step, args.device)

    builds = {name: partial(repetition, name) for name in args.models}
    trials = try_out(builds, args.device, peak_alone, f'{mode} at {side}', progress)
    candidates = {name: trial.repeat for name, trial in trials.items()}
    for name in trials:
        if not name.endswith(COMPILED):
            layers = make_linear_step(models[name], mode, images, dtype)
            layers()
            candidates[f'{name} linear'] = partial(timed, layers, args.device)
    seconds = interleave(candidates, args.repeats, args.budget, progress)
    results = {name: spread(phases['step']) for name, phases in seconds.items()}
    rows = []
    for name, trial in trials.items():
        step = results[name]
        least = results.get(f'{name} linear')
        deit = results.get(f'deit_{name.rpartition("_")[2]}')
        rows.append(
            {
                'model': short_name(name),
                'mode': mode,
                'resolution': side,
                'batch': batch_size,
                **step,
                'images_per_s': 1e3 * batch_size / step['median_ms'],
                'linear_ms': least and least['median_ms'],
                'times_linear': least and step['median_ms'] / least['median_ms'],
                'times_deit': deit and step['median_ms'] / deit['median_ms'],
                'peak_mib': mebibytes(trial.peak),
                'first_s': trial.first_s,
            }
        )
    return rows


def save_throughput_plot(rows: Sequence[Row], args: argparse.Namespace, console: Console) -> None:
    """Draws time for each image and memory against the resolution, a mode a row."""
    points = [
        Point(
            *(row[key] for key in ('mode', 'model', 'resolution')),
            *(row[key] / row['batch'] for key in ('median_ms', 'min_ms', 'max_ms')),
            row['peak_mib'],
        )
        for row in rows
    ]
    save_plot(args.out / 'throughput.png', points, LABELS, console)


@command(add_arguments, Parser)
def main(args: argparse.Namespace) -> None:
    """Measures, shows and saves."""
    console = make_console()
    settle(args)
    scan = scan_backend(args.device)
    about = environment(
        args.threads,
        args.device,
        dtype=args.dtype,
        selective_scan=scan,
        compile='no' if args.compile == 'no' else args.compile_mode,
        cuda_graph=args.cuda_graph,
    )
    args.models = find_models(args.models, console)
    if args.peak_memory:
        print(peak_memory(args))
        return
    path, rows = args.out / 'throughput.csv', []
    with Progress(console=console, transient=True) as progress:
        for side, batch_size in zip(args.resolutions, args.batch_size, strict=True):
            for mode in args.modes:
                rows += measure(mode, side, batch_size, args, progress)
                save_csv(path, rows, about)
    show(path, rows, about, group='resolution', console=console, common=('repeats',))
    save_throughput_plot(rows, args, console)


if __name__ == '__main__':
    main()
