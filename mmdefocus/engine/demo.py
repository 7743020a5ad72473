"""What the demos share: they run the ordinary commands, and go on where they were stopped."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def add_restart(parser: ArgumentParser, out: Path) -> None:
    """Adds the option that deletes what a demo has left in a folder."""
    parser.add_argument('--restart', action='store_true', help=f'delete {out} and begin anew')


def begin(out: Path, restart: bool) -> None:
    """Makes the folder of a demo, empty with `restart`."""
    if restart:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)


def as_seen_here(root: Path, path: str) -> str:
    """Returns a file of the package at `root` as the current folder sees it.

    In a checkout that is `path` itself.
    """
    file, folder = root / path, Path.cwd()
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


def run_tools(
    *commands: Sequence[str],
    at_a_time: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> float:
    """Runs tools at the same time and waits for all; only the first writes to the terminal.

    Exits with one line where a tool fails, or where Ctrl-C has stopped them.

    Args:
        *commands: Of each tool its path and its arguments.
        at_a_time: How many run at once, in the order of the commands; all, if it is not given.
        environment: Variables to set.

    Returns:
        The seconds that it took.
    """
    start = time.perf_counter()
    # Threads of OpenMP that wait in a loop take the cores from each other on a machine that has
    # other work to do, which can make training ten times slower.
    variables = {'GOMP_SPINCOUNT': '1000', **os.environ, **(environment or {})}
    with ThreadPoolExecutor(at_a_time or max(1, len(commands))) as pool:
        runs = [
            pool.submit(
                subprocess.run,
                [sys.executable, *command],
                env=variables,
                stdout=subprocess.DEVNULL if number else None,
            )
            for number, command in enumerate(commands)
        ]
        try:
            for command, run in zip(commands, runs, strict=True):
                if code := run.result().returncode:
                    pool.shutdown(cancel_futures=True)
                    line = shlex.join(['python', *command])
                    sys.exit(f'the demo stops here, this command failed (exit code {code}): {line}')
        except KeyboardInterrupt:
            # those that run got it too, and save what they have
            pool.shutdown(cancel_futures=True)
            sys.exit('stopped; the same command goes on from the last checkpoint')
    return round(time.perf_counter() - start, 1)
