"""The arguments that the benchmark tools share."""

import argparse
from pathlib import Path
from typing import NoReturn

import torch

from ..utils.errors import InputError


class Parser(argparse.ArgumentParser):
    """A parser with the common arguments, whose errors are one line without the usage."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description)
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
            '--out', type=Path, default=Path('work_dirs/benchmark'), help='folder of the results'
        )
        self.add_argument(
            '--peak-memory',
            action='store_true',
            help='only print the peak memory, in bytes, of a single candidate',
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
