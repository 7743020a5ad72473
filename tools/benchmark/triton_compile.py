"""Compiles the Triton kernels for GPUs that need not be at hand and tells what they take.

Each operator is called once, forward and backward, at the widths of the base and large models; its
launches are recorded, not run. Kernels that are the same at several widths, or in several
operators, are compiled once.
Writes OUT/triton_compile.csv.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

os.environ['TRITON_INTERPRET'] = '0'  # read when triton is imported

import torch
from rich.progress import Progress

from mmdefocus.ops.operator import Shape, operators, replaced
from mmdefocus.utils.command import command, some_path
from mmdefocus.utils.console import make_console
from shared.arguments import DTYPES
from shared.compilation import Launch, compile_launch, record_launches
from shared.operators import SUBJECTS, Call, as_list
from shared.report import save_csv, show

WIDTHS = (1536, 2048)
STATES = 16
IN_TRITON = [name for name, found in operators().items() if 'triton' in found.backends]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('--op', nargs='+', choices=IN_TRITON, default=IN_TRITON)
    parser.add_argument('--sm', nargs='+', type=int, choices=(80, 86, 89, 90), default=[80, 90])
    parser.add_argument('--dtype', choices=DTYPES, default='bfloat16')
    parser.add_argument('--out', type=some_path, default=Path('work_dirs/benchmark'))


def launches_of(names: Sequence[str], dtype: str, capability: int) -> list[Launch]:
    """Returns the kernels of operators, forward and backward; the sequence is cut by its scan."""
    found: dict[Launch, None] = {}
    for name in names:
        for width in WIDTHS:
            for call in calls_of(name, Shape(1, 197, width, STATES), DTYPES[dtype]):
                found |= dict.fromkeys(record_launches(partial(run, name, call), capability))
    return list(found)


def calls_of(name: str, shape: Shape, dtype: torch.dtype) -> Iterator[Call]:
    """Returns a call of an operator; of retention, one with a decay for each token as well."""
    call = SUBJECTS[name].call(shape, dtype, 'cpu')
    yield call
    if name == 'retention':
        *others, log_decay = call.inputs
        of_tokens = log_decay.detach()[:, None].repeat(shape.batch, 1, shape.length)
        arguments = call.arguments | {'log_decay': of_tokens.requires_grad_()}
        yield call._replace(arguments=arguments, inputs=[*others, of_tokens])


def run(name: str, call: Call) -> None:
    """Calls the Triton backend of an operator, forward and backward, wherever the tensors are."""
    table = operators()
    with replaced({kernel: table[kernel].backends['triton'].run for kernel in IN_TRITON}):
        y = table[name].function(**call.arguments)
        torch.autograd.grad(as_list(y), call.inputs, call.gradient)


@command(add_arguments)
def main(args: argparse.Namespace) -> None:
    """Compiles, shows and saves."""
    console = make_console()
    about = {
        'torch': torch.__version__,
        'dtype': args.dtype,
        'N': STATES,
    }
    launches = {sm: launches_of(args.op, args.dtype, sm) for sm in args.sm}
    path, rows = args.out / 'triton_compile.csv', []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('', total=sum(map(len, launches.values())))
        for of_each in zip(*launches.values(), strict=True):
            for capability, launch in zip(args.sm, of_each, strict=True):
                progress.update(task, description=launch.name, advance=1)
                rows.append(compile_launch(launch, capability))
                save_csv(path, rows, about)
    show(path, rows, about, group='kernel', console=console)


if __name__ == '__main__':
    main()
