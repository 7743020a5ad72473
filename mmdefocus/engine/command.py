"""What every tool does around its own work: arguments, memory, errors, exit status."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ..utils.errors import SHOW_TRACEBACK, one_line_errors
from ..utils.memory import keep_freed_memory

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C has stopped

Arguments = Callable[[argparse.ArgumentParser], object]
Work = Callable[[argparse.Namespace], int | None]
Main = Callable[..., None]


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """Leaves a parser as it is."""


def command(
    add_arguments: Arguments = no_arguments,
    parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> Callable[[Work], Main]:
    """Returns a decorator that makes the main function of a tool of what the tool does.

    The decorated function takes the parsed arguments and returns the exit status, None for 0.
    What it becomes takes a command line, by default that of the process. `--help` shows the
    docstring of the tool's module. Freed memory is kept (see `keep_freed_memory`), an error of the
    user is one line on stderr (see `one_line_errors`), and so is Ctrl-C. The process exits only
    where the status is returned or is not 0.

    Args:
        add_arguments: Adds the arguments of the tool to a parser.
        parser_class: The class of the parser.
    """

    def decorate(work: Work) -> Main:
        def main(argv: Sequence[str] | None = None) -> None:
            keep_freed_memory()
            parser = parser_class(
                description=work.__globals__['__doc__'],
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            add_arguments(parser)
            try:
                with one_line_errors():
                    status = work(parser.parse_args(argv))
            except KeyboardInterrupt:
                if os.environ.get(SHOW_TRACEBACK) == '1':
                    raise
                print('interrupted', file=sys.stderr)
                status = INTERRUPTED
            if status is not None:
                raise SystemExit(status)

        return main

    return decorate


def at_least(least: int) -> Callable[[str], int]:
    """Returns the type of an argument that is an integer from `least` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f'expected an integer of at least {least}, got {text!r}'
            )
        return number

    return read
