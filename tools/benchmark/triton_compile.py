"""Compiles the Triton kernels for GPUs that need not be at hand and tells what they take.

Each operator is called once, forward and backward, at the widths of the base and large models; its
launches are recorded, not run. Kernels that are the same at several widths are compiled once.
Writes OUT/triton_compile.csv.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

os.environ['TRITON_INTERPRET'] = '0'  # read when triton is imported

import torch
from rich.progress import Progress
from torch import Tensor

from mmdefocus.benchmark.compilation import Launch, compile_launch, record_launches
from mmdefocus.benchmark.operators import DTYPES, OPERATORS, Shape
from mmdefocus.benchmark.report import make_console, print_table, save_csv
from mmdefocus.utils.errors import one_line_errors

WIDTHS = (1536, 2048)
# torch serves the first two, the kernels of its parts the last
NO_KERNELS = ('matrix_products', 'rms_norm', 'gated_selective_scan')
OPERATORS_IN_TRITON = [name for name in OPERATORS if name not in NO_KERNELS]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--op', nargs='+', choices=OPERATORS_IN_TRITON, default=OPERATORS_IN_TRITON)
    parser.add_argument('--sm', nargs='+', type=int, choices=(80, 86, 89, 90), default=[80, 90])
    parser.add_argument('--dtype', choices=DTYPES, default='bfloat16')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'))
    return parser.parse_args(argv)


def launches_of(name: str, dtype: str) -> list[Launch]:
    """Returns the kernels of an operator, forward and backward; the sequence is cut by its scan."""
    found: dict[Launch, None] = {}
    for width in WIDTHS:
        inputs, gradient = OPERATORS[name].arguments(Shape(1, 197, width, 16), DTYPES[dtype])
        leaves = [x.requires_grad_() for x in inputs]
        found |= dict.fromkeys(record_launches(partial(run, name, leaves, gradient)))
    return list(found)


def run(name: str, inputs: list[Tensor], gradient: Tensor) -> None:
    """Calls the Triton backend of an operator, forward and backward."""
    torch.autograd.grad(OPERATORS[name].call(*inputs, backend='triton'), inputs, gradient)


def main(argv: Sequence[str] | None = None) -> None:
    """Compiles, shows and saves."""
    console = make_console()
    with one_line_errors():
        args = parse_args(argv)
        about = {'torch': torch.__version__, 'dtype': args.dtype}
        launches = [launch for name in args.op for launch in launches_of(name, args.dtype)]
        rows = []
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task('', total=len(launches) * len(args.sm))
            for launch in launches:
                for capability in args.sm:
                    progress.update(task, description=launch.name, advance=1)
                    rows.append(compile_launch(launch, capability))
                    save_csv(args.out / 'triton_compile.csv', rows, about)
        print_table(rows, f'{args.dtype}, N 16', hidden=(), group='kernel', console=console)
    console.print(f'wrote {args.out}/triton_compile.csv', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
