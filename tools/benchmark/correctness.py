"""Compares every backend of every operator with the naive one in float64, on fresh inputs.

Inputs of the dtype are random, from a seed that is shown and may be given; their float64 copies are
exact. The error is the norm of the difference over the norm of what is expected, for outputs and
gradients. A call of a kernel is repeated under `torch.use_deterministic_algorithms(True)`, one of a
backend in plain torch is not; `other_bits` counts the repetitions that differ from the first in any
bit. Writes OUT/correctness.csv; the exit status
is 1 if an error is above its bound.
"""

import argparse
import math
import secrets
from collections.abc import Callable

import torch
from rich.progress import Progress
from torch import Tensor

from mmdefocus.ops.operator import Operator, Shape, operators
from mmdefocus.utils.command import command
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError, one_line
from shared.arguments import DTYPES, Parser, positive
from shared.measure import Output
from shared.operators import SUBJECTS, Call, as_list
from shared.report import Row, environment, save_csv, show

PLAIN = ('naive', 'torch')
BOUNDS = {'float64': 1e-10, 'float32': 1e-4, 'bfloat16': 2e-2, 'float16': 4e-3}


def add_arguments(parser: Parser) -> None:
    """Adds what the command line may hold."""
    parser.add_device()
    parser.add_argument('--dtype', nargs='+', choices=DTYPES, default=['float32', 'bfloat16'])
    names = [*operators()]
    parser.add_argument('--op', nargs='+', choices=names, default=names, help='default: all')
    parser.add_shapes(Shape(2, 197, 256, 16))
    parser.add_argument('--runs', type=positive, default=10, help='calls whose bits are compared')
    parser.add_argument('--seed', type=positive, default=1 + secrets.randbelow(10**6))


def compare(operator: Operator, shape: Shape, dtype: str, args: argparse.Namespace) -> list[Row]:
    """Returns a row for the output and each gradient of each backend that can run."""
    call = SUBJECTS[operator.name].call(shape, DTYPES[dtype], args.device, args.seed)
    expected = results(call.double(), operator.function, 'naive')
    rows = []
    for backend, entry in operator.backends.items():
        if entry.why_not(torch.device(args.device)) is not None:
            continue
        about = {'op': operator.name, 'backend': backend, 'dtype': dtype, **shape._asdict()}
        runs = 1 if backend in PLAIN else args.runs
        torch.use_deterministic_algorithms(backend not in PLAIN)
        try:
            errors, other_bits = check(operator, backend, call, expected, runs)
        except Exception as error:  # a kernel of another package may raise anything
            errors, other_bits = {f'failure: {one_line(error)}': math.inf}, 0
        rows += [
            {**about, 'of': of, 'error': error, 'bound': BOUNDS[dtype], 'other_bits': other_bits}
            for of, error in errors.items()
        ]
    return rows


def check(
    operator: Operator, backend: str, call: Call, expected: dict[str, Tensor], runs: int
) -> tuple[dict[str, float], int]:
    """Returns the errors of outputs and gradients, and in how many runs the bits are others."""
    first = results(call, operator.function, backend)
    others = (results(call, operator.function, backend) for _ in range(runs - 1))
    other_bits = sum(not same_bits(first, other) for other in others)
    return {of: relative_error(x, expected[of]) for of, x in first.items()}, other_bits


def results(call: Call, function: Callable[..., Output], backend: str) -> dict[str, Tensor]:
    """Returns outputs and gradients by name."""
    y = as_list(function(**call.arguments, backend=backend))
    names = [name for name, x in call.arguments.items() if any(x is i for i in call.inputs)]
    found = dict(zip(names, torch.autograd.grad(y, call.inputs, call.gradient), strict=True))
    outputs = {f'output {number}': x.detach() for number, x in enumerate(y, 1)}
    return outputs | {f'gradient of {name}': x for name, x in found.items()}


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Returns the norm of the error over that of what is expected."""
    error, size = (actual.double() - expected).norm(), expected.norm()
    return (error / size if size else error).item()


def same_bits(first: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Returns whether all tensors are equal."""
    return all(torch.equal(x, other[name]) for name, x in first.items())


@command(add_arguments, Parser)
def main(args: argparse.Namespace) -> None:
    """Compares, shows and saves."""
    console = make_console()
    about = environment(args.threads, args.device, seed=args.seed, runs=args.runs)
    path, rows = args.out / 'correctness.csv', []
    with Progress(console=console, transient=True) as progress:
        for name in progress.track(args.op):
            for shape in args.shape:
                for dtype in args.dtype:
                    rows += compare(operators()[name], shape, dtype, args)
                    save_csv(path, rows, about)
    show(path, rows, about, group='op', console=console, common=Shape._fields)
    if wrong := sum(not row['error'] < row['bound'] for row in rows):
        raise InputError(f'{wrong} of {len(rows)} errors are above their bound')


if __name__ == '__main__':
    main()
