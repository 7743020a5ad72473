"""Shows parameters, operations and activation memory of the model of a config.

Operations are floating point operations of inference on one image, two per multiplication with
addition. Those of torch are counted by torch.utils.flop_counter, those of our operators by formula
(mmdefocus/analysis/cost/flops.py):

    selective scan      B L D (7 N + 1)
    retention           H L (B S + 2), S = min(L W, 128 W + 4 K V), W = 2 (K + V) + 1; with a decay
                        for each token B H L S, W = 2 (K + V) + 3; 2 K / H where heads share q and k
    decayed attention   B H L² (2 (K + V) + 1) + 2 H L
    causal convolution  2 B L D W

Activations are what training keeps for the backward in float32, for one image, where every operator
has a kernel that keeps its inputs alone; plain torch keeps more. In a detector both are known for
backbone and neck: what follows depends on values, not on shapes alone.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from mmdefocus.analysis.cost.summary import Part, build_on_meta, default_shape, summarize
from mmdefocus.engine.command import command
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='size of the image; by default what the config trains, or tests if it is a detector',
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Measures a model and shows its parts."""
    if args.shape and min(args.shape) < 1:
        raise InputError(f'--shape: expected two positive numbers, got {args.shape}')
    with config_of(args, 'model') as cfg:
        shape = tuple(args.shape or default_shape(cfg))
        parts = summarize(build_on_meta(cfg), shape)
    print_summary(parts, f'{args.config}, one image of {shape[0]} x {shape[1]}')


def print_summary(parts: Sequence[Part], title: str) -> None:
    """Shows a row for each part and their sum, and the sum as a metafile has it."""
    table = make_table('part', 'parameters, M', 'GFLOPs', 'activations, MiB')
    for part in parts:
        table.add_row(part.name, *_cells(part))
    table.add_section()
    whole = total(parts)
    table.add_row('all', *_cells(whole))
    console = make_console()
    console.print(title, highlight=False, soft_wrap=True)
    console.print(table)
    exact = {
        'Parameters': whole.parameters,
        'FLOPs': whole.flops,
        'Activations': whole.saved_bytes,
    }
    line = ', '.join(f'{key}: {number}' for key, number in exact.items() if number is not None)
    console.print(f'in a metafile: {line}', highlight=False, soft_wrap=True)


def total(parts: Sequence[Part]) -> Part:
    """Returns the sum of all parts, without a number that one of them lacks."""

    def add(numbers: list[int | None]) -> int | None:
        return None if None in numbers else sum(numbers)

    return Part(
        'all',
        sum(part.parameters for part in parts),
        add([part.flops for part in parts]),
        add([part.saved_bytes for part in parts]),
    )


def _cells(part: Part) -> list[str]:
    known = (part.parameters / 1e6, part.flops, part.saved_bytes)
    scaled = (known[0], known[1] and known[1] / 1e9, known[2] and known[2] / 2**20)
    return ['' if number is None else f'{number:,.2f}' for number in scaled]


if __name__ == '__main__':
    main()
