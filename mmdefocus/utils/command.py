"""What every tool does around its own work: arguments, memory, errors, exit status."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path

from .console import take_any_text
from .errors import one_line_errors
from .memory import keep_freed_memory

Status = int | str | None  # what `SystemExit` takes
Work = Callable[[Namespace], Status]
Main = Callable[..., None]


def command(
    add_arguments: Callable[[ArgumentParser], object] | None = None,
    parser_class: type[ArgumentParser] = ArgumentParser,
    at_end: Callable[[], object] | None = None,
) -> Callable[[Work], Main]:
    """Returns a decorator that turns the work of a tool into its main function.

    The work takes the parsed arguments and returns the exit status, or None to go on without an
    exit. The main function takes a command line, by default that of the process. It keeps freed
    memory (see `keep_freed_memory`), prints names of any characters (see `take_any_text`), says in
    one line what is wrong with the input (see `one_line_errors`), and shows the docstring of the
    tool's module under `--help`.

    Args:
        add_arguments: Adds the arguments of the tool to a parser.
        parser_class: The class of the parser.
        at_end: Called when the work is done, or has ended the program with a status of its own.
    """

    def decorate(work: Work) -> Main:
        def main(argv: Sequence[str] | None = None) -> None:
            keep_freed_memory()
            take_any_text()
            parser = parser_class(
                description=work.__globals__['__doc__'],
                formatter_class=RawDescriptionHelpFormatter,
            )
            if add_arguments:
                add_arguments(parser)
            with one_line_errors():
                status: Status
                try:
                    status = work(parser.parse_args(argv))
                except SystemExit as end:  # kept no longer, with all that its frames hold
                    status = end.code
            if at_end:
                at_end()
            if status is not None:
                raise SystemExit(status)

        return main

    return decorate


def at_least(least: int) -> Callable[[str], int]:
    """Returns the type of an argument that is an integer of at least `least`."""

    def read(text: str) -> int:
        if not text.removeprefix('-').isdecimal() or int(text) < least:
            raise ArgumentTypeError(f'expected an integer of at least {least}, got {text!r}')
        return int(text)

    return read


def some_text(text: str) -> str:
    """The type of an argument that is not empty, such as the address of a file.

    Raises:
        ArgumentTypeError: If it is empty, as a variable of the shell that is not set.
    """
    if not text.strip():
        raise ArgumentTypeError('expected some text, got an empty one')
    return text


def some_path(text: str) -> Path:
    """The type of an argument that is a path; an empty one would be the current folder.

    Raises:
        ArgumentTypeError: If it is empty.
    """
    return Path(some_text(text))
