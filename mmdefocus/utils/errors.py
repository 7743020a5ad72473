"""Errors for people: what a tool says in one line, and what keeps its traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

PACKAGE = __name__.partition('.')[0]
INTERRUPTED = 130  # the status that a shell gives a program that Ctrl-C has stopped
# in the errors of PyTorch and safetensors, which do not tell what the system said
UNWRITABLE = ('PytorchStreamWriter failed', 'unexpected pos', 'Error while serializing: I/O error')


class InputError(ValueError):
    """Something given to the program cannot be used; the message says what, and what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line on stderr if its input is at fault, or the user stops it.

    The status is 1, or 130 after Ctrl-C. Programming errors keep their traceback;
    MMDEFOCUS_TRACEBACK=1 shows it for every error.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        message = 'interrupted' if stopped else explain(error)
        if message is None or os.environ.get('MMDEFOCUS_TRACEBACK') == '1':
            raise
        print(f'error: {message}', file=sys.stderr)
        raise SystemExit(INTERRUPTED if stopped else 1) from None


def explain(error: BaseException) -> str | None:
    """Returns the line that says what is wrong with the input, None for a programming error.

    An error in the input is an `InputError`, a `FloatingPointError` (which `NonFiniteLossHook`
    raises), what the system refuses (an `OSError`, such as a full disk or a folder that is
    read-only), or a `ValueError` raised by this package itself.
    """
    if isinstance(error, (InputError, FloatingPointError)):
        return one_line(error)
    if refused := _refusal(error):
        return one_line(refused)
    if any(sign in str(error) for sign in UNWRITABLE):
        return (
            'a checkpoint cannot be written: the disk is full, or a limit of file sizes is reached'
        )
    if isinstance(error, ValueError) and _raised_in(error).startswith(f'{PACKAGE}.'):
        return one_line(error)
    return None


def one_line(error: Exception) -> str:
    """Returns the message of an error; for one that comes from a data loading worker, its own."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f'{os.fsdecode(error.filename)}: {error.strerror}'
    lines = str(text).strip().splitlines() or [type(error).__name__]
    if 'DataLoader worker process' in lines[0]:
        # PyTorch hands over the worker's whole traceback, which ends in "module.Class: message".
        return lines[-1].partition(': ')[2]
    return ' '.join(line.strip() for line in lines)


def _refusal(error: BaseException | None) -> OSError | None:
    """Returns what the system refused, if this is what came of it.

    A writer that cannot write fails again when it is closed, as that of PyTorch does.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError):
            return error
        if not isinstance(error, RuntimeError):
            return None
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _raised_in(error: Exception) -> str:
    """Returns the name of the module that raised the error."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get('__name__', '') if frames else ''
