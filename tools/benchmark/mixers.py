"""Times the whole Mamba mixer beside the one in the order of operations of the released code.

Both have the same sizes and run forward and backward, with the gradients of input and weights, in
one process where they take turns. `backend` is that of the released order's scan: on a GPU that of
mamba_ssm, as in the released code. `--part inner` leaves out the projections into the mixer and out
of it: what is between them, from the convolution to the gate. Writes OUT/mixers.csv, or
OUT/mixers_inner.csv.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from rich.progress import Progress
from torch import Tensor, nn

from mmdefocus.utils.command import command
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from shared.arguments import AUTOCAST_DTYPES, DTYPES, Parser, Shape, show_shape
from shared.measure import forward_backward, interleave
from shared.models import autocast
from shared.report import Row, environment, mebibytes, save_csv, show, spread
from shared.trial import added_peak_memory, peak_memory_alone, try_out

BASE_AT_224 = Shape(4, 197, 1536, 16)
OURS, COMPILED, RELEASED = MIXERS = ('ours', 'ours compiled', 'released order')
WHOLE, INNER = PARTS = ('whole', 'inner')


def add_arguments(parser: Parser) -> None:
    """Adds what the command line may hold."""
    parser.add_device()
    parser.add_argument('--dtype', choices=AUTOCAST_DTYPES, default='float32', help='of autocast')
    parser.add_argument('--mixers', nargs='+', choices=MIXERS, default=[OURS, RELEASED])
    parser.add_argument('--part', choices=PARTS, default=PARTS[0], help='default: %(default)s')
    parser.add_argument('--backend', help='of the scan in the released order')
    parser.add_shapes(BASE_AT_224)


def settle(args: argparse.Namespace) -> None:
    """Gives the arguments that depend on others their values."""
    if args.backend is None:
        args.backend = 'mamba_ssm' if args.device == 'cuda' else 'auto'


def make_mixer(name: str, shape: Shape, args: argparse.Namespace) -> nn.Module:
    """Builds a mixer on the device."""
    from mmdefocus.models.mixers import MambaMixer
    from shared.released import ReleasedOrderMixer

    sizes = {
        'embed_dims': shape.channels // 2,
        'intermediate_size': shape.channels,
        'state_size': shape.state,
        'time_step_rank': max(1, shape.channels // 32),
    }
    torch.manual_seed(0)
    if name == RELEASED:
        return ReleasedOrderMixer(args.backend, **sizes).to(args.device)
    return MambaMixer(**sizes).to(args.device)


def prepare(name: str, shape: Shape, args: argparse.Namespace) -> Callable[[], dict[str, float]]:
    """Returns a function that runs a mixer forward and backward and returns the seconds."""
    mixer = make_mixer(name, shape, args)
    dtype, inner = DTYPES[args.dtype], args.part == INNER
    into, out = (2 * shape.channels, shape.channels) if inner else (shape.channels // 2,) * 2
    tokens = torch.randn(shape.batch, shape.length, into, device=args.device)
    if inner:  # what the projection into the mixer returns
        tokens = tokens.to(dtype)
    gradient = torch.ones(shape.batch, shape.length, out, device=args.device)

    def mix(tokens: Tensor) -> Tensor:
        return mixer.scan(*tokens.chunk(2, dim=-1)) if inner else mixer(tokens)

    function = torch.compile(mix) if name == COMPILED else mix
    precision = autocast(args.device, dtype)

    def run() -> Tensor:
        with precision:
            return function(tokens).float()

    inputs = [tokens.requires_grad_(), *mixer.parameters()]
    return partial(forward_backward, run, inputs, [gradient], args.device)


def peak_memory(args: argparse.Namespace) -> int:
    """Returns the bytes of one mixer, its input and one repetition at their peak.

    Raises:
        InputError: If there is not exactly one mixer, on a CPU and of one shape.
    """
    if len(args.mixers) != 1 or len(args.shape) != 1 or args.device != 'cpu':
        raise InputError('--peak-memory: expected one of --mixers, one --shape and the CPU')
    name, shape = args.mixers[0], args.shape[0]
    # what is loaded or started on the first call does not count
    prepare(name, shape._replace(batch=1, length=2), args)()
    return added_peak_memory(lambda: prepare(name, shape, args)())


def measure(shape: Shape, args: argparse.Namespace, progress: Progress) -> list[Row]:
    """Returns the rows of all mixers at one shape."""

    def peak_alone(name: str) -> int | None:
        what = ('--mixers', name, '--shape', show_shape(shape), '--dtype', args.dtype)
        options = ('--peak-memory', '--threads', args.threads, '--backend', args.backend)
        options += ('--part', args.part)
        return peak_memory_alone(__file__, (*what, *options))

    builds = {name: partial(prepare, name, shape, args) for name in args.mixers}
    trials = try_out(builds, args.device, peak_alone, f'mixers at {show_shape(shape)}', progress)
    repetitions = {name: trial.repeat for name, trial in trials.items()}
    seconds = interleave(repetitions, args.repeats, args.budget, progress)
    rows = []
    for name, phases in seconds.items():
        for phase, samples in phases.items():
            row = {'mixer': name, 'phase': phase, **shape._asdict(), **spread(samples)}
            first = spread(next(iter(seconds.values()))[phase])
            row['times_first'] = row['median_ms'] / first['median_ms']
            row['peak_mib'] = mebibytes(trials[name].peak)
            row['first_s'] = trials[name].first_s
            rows.append(row)
    return rows


@command(add_arguments, Parser)
def main(args: argparse.Namespace) -> None:
    """Measures, shows and saves."""
    console = make_console()
    settle(args)
    about = environment(
        args.threads, args.device, dtype=args.dtype, backend=args.backend, part=args.part
    )
    if args.peak_memory:
        print(peak_memory(args))
        return
    path = args.out / ('mixers_inner.csv' if args.part == INNER else 'mixers.csv')
    rows: list[Row] = []
    with Progress(console=console, transient=True) as progress:
        for shape in args.shape:
            rows += measure(shape, args, progress)
            save_csv(path, rows, about)
    show(path, rows, about, group='length', console=console, common=('repeats', *Shape._fields))


if __name__ == '__main__':
    main()
