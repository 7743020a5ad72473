"""The decorator of the tools, see `mmdefocus.utils.command`; here it also ends process groups."""

from functools import partial

from ..utils.command import at_least, some_path, some_text
from ..utils.command import command as plain_command
from .distributed import leave_processes

__all__ = ['at_least', 'command', 'some_path', 'some_text']

command = partial(plain_command, at_end=leave_processes)
