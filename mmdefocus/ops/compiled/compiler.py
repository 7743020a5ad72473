"""Finds the compiler of the machine and runs it, for as long as it may take."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

COMPILERS = ('c++', 'g++', 'clang++')
PATIENCE = 600.0  # seconds; a build takes a quarter of a minute on an idle machine
MOST_OUTPUT = 1 << 24  # bytes; one that writes more is out of order
LONGEST_MESSAGE = 300

Command = Sequence[str | Path]


class BuildError(RuntimeError):
    """No library can be had; the message is the reason in one line."""


def find_compiler() -> list[str]:
    """Returns the compiler and its first arguments: those of CXX, or the first of `COMPILERS`.

    Raises:
        BuildError: If there is none.
    """
    wanted = os.environ.get('CXX', '').strip()
    if path := shutil.which(wanted):  # a path may have spaces
        return [path]
    try:
        program, *arguments = shlex.split(wanted) or ('',)
    except ValueError as error:
        raise BuildError(f'CXX: expected a command, got {wanted!r}: {error}') from error
    for name in (program,) if program else COMPILERS:
        if path := shutil.which(name):
            return [path, *arguments]
    raise BuildError(f'no C++ compiler found: looked for {program or ", ".join(COMPILERS)}')


def build_deadline() -> float:
    """Returns when a build that starts now is given up, in seconds of `time.monotonic`.

    Raises:
        BuildError: If MMDEFOCUS_BUILD_TIMEOUT is not a number of seconds.
    """
    wanted = os.environ.get('MMDEFOCUS_BUILD_TIMEOUT') or str(PATIENCE)
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise BuildError(f'MMDEFOCUS_BUILD_TIMEOUT: expected seconds above 0, got {wanted!r}')
    return time.monotonic() + seconds


def run(commands: Sequence[Command], deadline: float) -> list[bytes]:
    """Runs commands side by side and returns what each wrote to stdout.

    What they started ends with them: all of it is killed at the first failure, at the deadline, and
    when the user interrupts.

    Raises:
        BuildError: If one fails, writes without end or runs past the deadline.
    """
    running: list[_Running] = []
    try:
        for command in commands:
            running.append(_Running(command))
        while sum(not process.has_ended() for process in running):
            if time.monotonic() > deadline:
                raise BuildError(
                    f'{commands[0][0]} does not end and was given up; '
                    'MMDEFOCUS_BUILD_TIMEOUT sets after how many seconds'
                )
            time.sleep(0.01)
        return [process.output() for process in running]
    finally:
        for process in running:
            process.kill()


class _Running:
    """A command with a session of its own, which writes to files: pipes outlive their command."""

    def __init__(self, command: Command) -> None:
        self.program = command[0]
        self.stdout = tempfile.TemporaryFile()  # noqa: SIM115, `kill` closes it
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self.stdout,
                stderr=self.stderr,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # such as a script without an interpreter
            raise BuildError(f'{self.program} cannot be run: {error}') from error

    def has_ended(self) -> bool:
        """Raises a `BuildError` if it has failed."""
        if max(map(_size, (self.stdout, self.stderr))) > MOST_OUTPUT:
            raise BuildError(f'{self.program} writes without end and was given up')
        status = self.process.poll()
        if status:
            raise BuildError(f'{self.program} failed: {self._reason(status)}')
        return status is not None

    def output(self) -> bytes:
        self.stdout.seek(0)
        return self.stdout.read(MOST_OUTPUT)

    def kill(self) -> None:
        """Also kills what outlives the command, such as a compiler whose wrapper was killed."""
        with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS forbids the dead
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stdout.close()
        self.stderr.close()

    def _reason(self, status: int) -> str:
        self.stderr.seek(0)
        text = self.stderr.read(MOST_OUTPUT).decode(errors='replace')
        ended = f'exit status {status}' if status > 0 else f'signal {-status}'
        line = next((line for line in text.splitlines() if 'error' in line), ended)
        return ''.join(filter(str.isprintable, line.strip()))[:LONGEST_MESSAGE]


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
