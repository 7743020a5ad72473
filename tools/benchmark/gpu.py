"""Times operators, mixers and training steps on a GPU, with bfloat16 autocast.

All candidates of a row's group take turns in one process, after one repetition that compiles
(`first_s`). Peak memory is what the allocator holds during a repetition above what it held before.
Writes OUT/gpu.csv.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter

import torch
from rich.progress import Progress
from torch import Tensor, nn

from mmdefocus.benchmark.arguments import Parser, positive
from mmdefocus.benchmark.measure import forward_backward, interleave, timed
from mmdefocus.benchmark.models import MODELS, SIZES, make_step
from mmdefocus.benchmark.operators import DTYPES, OPERATORS, Shape, candidates
from mmdefocus.benchmark.report import (
    Row,
    environment,
    make_console,
    print_table,
    save_csv,
    spread,
)
from mmdefocus.utils.errors import InputError, one_line, one_line_errors

SLOW = ('naive', 'torch', 'mambapy')  # minutes at these sizes
SHAPES = [
    Shape(batch, length, width, 16)
    for width in (1536, 2048)
    for batch, length in ((64, 197), (2, 4097))
]
STEPS = ((64, 224), (4, 1024))  # images and their side


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = Parser(__doc__.splitlines()[0])
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--what', nargs='+', choices=GROUPS, default=[*GROUPS])
    parser.add_argument('--shape', nargs=4, type=positive, metavar=('B', 'L', 'D', 'N'))
    parser.add_argument('--dtype', choices=DTYPES, default='bfloat16')
    parser.add_argument('--model', choices=SIZES, default='base', help='size of the models')
    parser.add_argument(
        '--no-compile',
        dest='compile',
        action='store_false',
        help='leave out what torch.compile makes, whose first call takes minutes',
    )
    args = parser.parse_args(argv)
    args.shapes = [Shape(*args.shape)] if args.shape else SHAPES
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device: there is no CUDA device; `--device cpu` only tries the tool')
    return args


def compare(
    group: str,
    size: str,
    repetitions: dict[str, Callable[[], dict[str, float]]],
    args: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Returns a row for each candidate and phase; those that fail are told and left out."""
    first, peak = {}, {}
    for name, repeat in list(repetitions.items()):
        start = perf_counter()
        try:
            repeat()
            first[name] = perf_counter() - start
            peak[name] = peak_memory(repeat, args.device)
        except Exception as error:  # a kernel or a build of another package may raise anything
            progress.console.print(f'{group} {size}: {name} fails: {one_line(error)}')
            del repetitions[name]
    seconds = interleave(repetitions, args.repeats, args.budget, progress)
    return [
        {
            'group': group,
            'size': size,
            'candidate': name,
            'phase': phase,
            **spread(samples),
            'first_s': first[name],
            'peak_mib': peak[name],
        }
        for name, phases in seconds.items()
        for phase, samples in phases.items()
    ]


def peak_memory(repeat: Callable[[], object], device: str) -> float | None:
    """Returns by how many MiB a repetition raises the memory of the GPU."""
    if device == 'cpu':
        return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    repeat()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def operators(args: argparse.Namespace, progress: Progress) -> list[Row]:
    """Every operator with all its fast backends."""
    rows = []
    for name in OPERATORS:
        for shape in args.shapes:
            with torch.device(args.device):
                inputs, gradient = OPERATORS[name].arguments(shape, DTYPES[args.dtype])
            inputs = [x.requires_grad_() for x in inputs]
            repetitions = {
                candidate: partial(forward_backward, function, inputs, gradient, args.device)
                for candidate, function in candidates(name, args.device).items()
                if not isinstance(function, str) and candidate not in SLOW
            }
            rows += compare(name, str(tuple(shape)), repetitions, args, progress)
    return rows


def mixers(args: argparse.Namespace, progress: Progress) -> list[Row]:
    """The whole mixer beside the released order of operations."""
    from mmdefocus.benchmark.released import ReleasedOrderMixer
    from mmdefocus.models.mixers import MambaMixer

    rows = []
    for shape in args.shapes:
        sizes = {'embed_dims': shape.channels // 2, 'intermediate_size': shape.channels}
        released = 'mamba_ssm' if args.device == 'cuda' else 'auto'
        mixer = MambaMixer(**sizes).to(args.device)
        modules: dict[str, nn.Module] = {'ours': mixer}
        if args.compile:
            modules['ours, compiled'] = torch.compile(mixer)
        modules['released order'] = ReleasedOrderMixer(released, **sizes).to(args.device)
        with torch.device(args.device):
            tokens = torch.randn(shape.batch, shape.length, shape.channels // 2)
        tokens.requires_grad_()
        repetitions = {
            name: partial(mixer_repetition, module, tokens, args)
            for name, module in modules.items()
        }
        rows += compare('mixer', str(tuple(shape)), repetitions, args, progress)
    return rows


def mixer_repetition(
    module: nn.Module, tokens: Tensor, args: argparse.Namespace
) -> dict[str, float]:
    """Runs a mixer under autocast, forward and backward, with the gradients of its weights."""
    inputs = [tokens, *module.parameters()]

    def run(tokens: Tensor, *weights: Tensor) -> Tensor:
        with autocast(args):
            return module(tokens).float()

    return forward_backward(run, inputs, torch.ones_like(tokens), args.device)


def steps(args: argparse.Namespace, progress: Progress) -> list[Row]:
    """Training steps of DefocusMamba, compiled and not, beside DeiT with fused attention."""
    rows = []
    for batch, side in STEPS if args.device == 'cuda' else ((1, 32),):
        with torch.device(args.device):
            images = torch.randn(batch, 3, side, side)
        repetitions = {}
        for family in ('defocus_mamba', 'deit'):
            name = f'{family}_{args.model}'
            try:
                model = MODELS[name](side).to(args.device)
            except ImportError as error:
                progress.console.print(f'{name} is skipped: {one_line(error)}', highlight=False)
                continue
            modules = {name: model}
            if args.compile and family == 'defocus_mamba':
                modules[f'{name}, compiled'] = torch.compile(model)
            for candidate, module in modules.items():
                step = autocast(args)(make_step(module, 'train', images))
                repetitions[candidate] = partial(timed, step, args.device, 'both')
        rows += compare('step', f'{batch} x {side}²', repetitions, args, progress)
    return rows


def autocast(args: argparse.Namespace) -> torch.autocast:
    """Returns the context of the wanted dtype; float32 and float64 are computed as they are."""
    return torch.autocast(args.device, DTYPES[args.dtype], DTYPES[args.dtype].itemsize == 2)


GROUPS = {'operators': operators, 'mixers': mixers, 'steps': steps}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, shows and saves."""
    console = make_console()
    with one_line_errors():
        args = parse_args(argv)
        gpu = torch.cuda.get_device_name() if args.device == 'cuda' else 'none'
        about = environment(args.threads, gpu=gpu, dtype=args.dtype)
        rows = []
        with Progress(console=console, transient=True) as progress:
            for what in args.what:
                rows += GROUPS[what](args, progress)
                if not rows:
                    raise InputError(f'--what: none of the {what} can run')
                save_csv(args.out / 'gpu.csv', rows, about)
        title = ', '.join(f'{key} {value}' for key, value in about.items())
        print_table(rows, title, hidden=(), group='size', console=console)
    console.print(f'wrote {args.out}/gpu.csv', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
