"""The arguments that the benchmark tools share."""

import argparse
from pathlib import Path
from typing import NoReturn

import torch

from mmdefocus.ops.operator import Shape
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_place

DTYPES = {name: getattr(torch, name) for name in ('float64', 'float32', 'bfloat16', 'float16')}
AUTOCAST_DTYPES = ('float32', 'bfloat16', 'float16')


class Parser(argparse.ArgumentParser):
    """A parser with the common arguments, whose errors are one line without the usage."""

    def __init__(
        self,
        description: str,
        formatter_class: type[argparse.HelpFormatter] = argparse.RawDescriptionHelpFormatter,
    ) -> None:
        super().__init__(description=description, formatter_class=formatter_class)
        self.add_argument(
            '--threads', type=positive, default=torch.get_num_threads(), help='threads of torch'
        )
        self.add_argument('--repeats', type=positive, default=20, help='rounds to measure')
        self.add_argument(
            '--budget',
            type=positive,
            default=60,
            metavar='SECONDS',
            help='after which a candidate sits out the remaining rounds',
        )
        self.add_argument(
            '--out', type=folder, default=Path('work_dirs/benchmark'), help='folder of the results'
        )
        self.add_argument(
            '--peak-memory',
            action='store_true',
            help='only print the peak memory, in bytes, of a single candidate on the CPU',
        )

    def add_device(self) -> None:
        """Adds `--device`."""
        self.add_argument('--device', type=read_device, default='cpu', help='cpu or cuda')

    def add_shapes(self, *default: Shape) -> None:
        """Adds `--shape`, of which there may be several."""
        self.add_argument(
            '--shape',
            nargs='+',
            type=read_shape,
            default=default,
            metavar='B,L,D,N',
            help='batch, tokens, channels inside the mixer and states; one or several '
            f'(default: {" ".join(map(show_shape, default))})',
        )

    def add_modes(self) -> None:
        """Adds `--train` and `--infer`; `modes` lists what is wanted, both by default."""
        self.set_defaults(modes=['train', 'infer'])
        group = self.add_mutually_exclusive_group()
        for mode in ('train', 'infer'):
            group.add_argument(
                f'--{mode}',
                dest='modes',
                action='store_const',
                const=[mode],
                default=argparse.SUPPRESS,
                help='only this (default: both)',
            )

    def error(self, message: str) -> NoReturn:
        """Raises an `InputError`."""
        raise InputError(message)


def positive(text: str) -> int:
    """Reads an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected an integer of at least 1, got {text!r}')
    return int(text)


def folder(text: str) -> Path:
    """Returns a folder in which results can be written, before they are measured."""
    check_place(Path(text) / 'results.csv')
    return Path(text)


def read_device(text: str) -> str:
    """Reads `cpu`, or `cuda` where there is such a device."""
    if text not in ('cpu', 'cuda'):
        raise argparse.ArgumentTypeError(f'expected cpu or cuda, got {text!r}')
    if text == 'cuda' and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError('this machine has no CUDA device, choose cpu')
    return text


def read_shape(text: str) -> Shape:
    """Reads `B,L,D,N`."""
    numbers = text.split(',')
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f'expected four integers B,L,D,N, got {text!r}')
    return Shape(*map(positive, numbers))


def show_shape(shape: Shape) -> str:
    """Writes `B,L,D,N`."""
    return ','.join(map(str, shape))
