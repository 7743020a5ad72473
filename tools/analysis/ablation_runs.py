"""Trains configs with several seeds, goes on where it was stopped, and compares the results.

Each run that is finished becomes a small file in the folder of --out and is never repeated; one
that was stopped is resumed. All configs are run with the first seed, then all with the next. A run
that fails is counted, shown and tried again the next time. Without configs, the tables are printed
alone.
"""

import math
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch

from mmdefocus.analysis.pages import write_tables
from mmdefocus.analysis.run_curves import draw_learning_curves
from mmdefocus.analysis.run_tables import as_markdown
from mmdefocus.analysis.runs import METRICS, Run, read_runs, result_file, write_run
from mmdefocus.analysis.table_file import read_tables
from mmdefocus.analysis.training_log import read_curve
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import read_config
from mmdefocus.engine.config.data_folder import data_options
from mmdefocus.engine.preemption import STOPPED
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing
from mmdefocus.utils.locks import claimed

ROOT = Path(__file__).parents[2]
LOG = 'train.log'


class Task(NamedTuple):
    """A run to do: a config and a seed."""

    config: Path
    seed: int


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('configs', nargs='*', type=Path, metavar='CONFIG')
    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument('--seeds', type=at_least(1), default=3, metavar='N', help='0 to N - 1')
    parser.add_argument('--first-seed', type=at_least(0), default=0, metavar='S')
    parser.add_argument('--data-root', type=Path, help='the data, if not where the configs say')
    parser.add_argument('--epochs', type=at_least(1), help='if not as many as the configs say')
    parser.add_argument('--threads', type=at_least(1), default=1, help='of each run')
    parser.add_argument('--jobs', type=at_least(1), default=1, help='runs at a time')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/ablation_runs'), help='logs, checkpoints'
    )
    parser.add_argument(
        '--tables', type=Path, default=ROOT / 'configs/cifar10/tables.yml', help='rows to print'
    )
    parser.add_argument('--curves', type=Path, metavar='FILE.png', help='draw learning curves here')
    parser.add_argument('--page', type=Path, help='Markdown page that gets the tables, too')


@command(add_arguments)
def main(args: Namespace) -> int | None:
    """Runs what is left, and prints the tables."""
    if args.curves and args.curves.suffix != '.png':
        raise InputError(f'--curves: expected a name that ends in .png, got {args.curves}')
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    left = remaining(args.configs, seeds, args.out)
    failed = Launcher(args).run_all(left) if left else 0
    content, runs = read_tables(args.tables), read_runs(args.out)
    tables = as_markdown(content, runs)
    print(tables, end='')
    if args.page:
        write_tables(args.page, tables)
    if args.curves and (figure := draw_learning_curves(content, runs)):
        with replacing(args.curves) as unfinished:
            figure.savefig(unfinished, dpi=110)
    return 1 if failed else None


def remaining(configs: Iterable[Path], seeds: Iterable[int], out: Path) -> list[Task]:
    """Returns the runs without a result, all configs of a seed before the next seed.

    Raises:
        InputError: If a config does not exist, or two have the same name.
    """
    configs = list(configs)
    for config in configs:
        if not config.is_file():
            raise InputError(f'config {config}: no such file')
        if sum(config.stem == other.stem for other in configs) > 1:
            raise InputError(
                f'config {config}: expected names that differ, got {config.stem} twice'
            )
    tasks = [Task(config, seed) for seed in seeds for config in configs]
    return [task for task in tasks if not result_file(out, task.config.stem, task.seed).exists()]


class Launcher:
    """Trains each task in a process of its own, some at a time.

    Args:
        args: The command line.
    """

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.commit = commit_of(ROOT)
        self.console = make_console(stderr=True)
        self.processes: set[subprocess.Popen] = set()
        self.stopping = False

    def run_all(self, tasks: Sequence[Task]) -> int:
        """Runs all tasks, and returns how many have failed.

        On SIGTERM and Ctrl-C the trainings save themselves, and those to come are left.
        """
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ThreadPoolExecutor(self.args.jobs) as pool:
            try:
                ended = list(pool.map(self.run, tasks))
            except KeyboardInterrupt:
                self.stopping = True
                for process in list(self.processes):
                    process.terminate()
                raise
        failed = ended.count(False)
        self.console.print(
            f'{len(tasks)} runs were left; {ended.count(True)} done, {failed} failed'
        )
        return failed

    def run(self, task: Task) -> bool | None:
        """Trains a task to its end and writes its result.

        Returns:
            Whether it has ended well; None if it was stopped, or another launcher has it.
        """
        name = f'{task.config.stem} seed {task.seed}'
        folder = self.args.work_dir / task.config.stem / f'seed-{task.seed}'
        if self.stopping:
            return None
        with ExitStack() as claim:
            try:
                claim.enter_context(claimed(folder, 'ablation.lock'))
                if result_file(self.args.out, task.config.stem, task.seed).exists():
                    return None
            except InputError:
                self.console.print(f'{name}: another launcher trains it')
                return None
            try:
                message, done = self.run_claimed(task, folder)
            except InputError as error:
                message, done = str(error), False
        self.console.print(f'{name}: {message}')
        return done

    def run_claimed(self, task: Task, folder: Path) -> tuple[str, bool | None]:
        """Trains a task in a folder that no other process uses; returns what to say, and `run`'s.

        Raises:
            InputError: If the training has logged too little, or its data are not known.
        """
        resumed = any(folder.glob('*.pth'))
        begin = time.perf_counter()
        status = self.train(task, folder, resumed)
        seconds = time.perf_counter() - begin
        if status == STOPPED:
            return 'stopped and saved', None
        if status:
            return f'status {status}: {last_line(folder / LOG)}', False
        run = self.result(task, folder, None if resumed else round(seconds, 1))
        write_run(run, self.args.out)
        name = next(iter(run.curves))
        return f'{METRICS[name].title} {run.last(name):.2f} in {seconds:.0f} s', True

    def train(self, task: Task, folder: Path, resumed: bool) -> int:
        """Trains in a process, with its output in `LOG`; returns the exit status."""
        options: dict[str, object] = {'randomness.seed': task.seed}
        if self.args.epochs:
            options['train_cfg.max_epochs'] = self.args.epochs
        if self.args.data_root:
            options |= data_options(read_config(str(task.config), {}), self.args.data_root)
        line = [sys.executable, str(ROOT / 'tools/train.py'), str(task.config)]
        line += ['--work-dir', str(folder), '--save-minutes', '5', '--skip-data-check']
        line += ['--resume'] if resumed else []
        line += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
        environment = {**os.environ, 'OMP_NUM_THREADS': str(self.args.threads)}
        with (folder / LOG).open('a') as log:
            process = subprocess.Popen(line, stdout=log, stderr=log, env=environment)
            self.processes.add(process)
            try:
                return process.wait()
            finally:
                self.processes.discard(process)

    def result(self, task: Task, folder: Path, seconds: float | None) -> Run:
        """Returns the result of a training that has ended.

        Raises:
            InputError: If its logs have no validation of a known metric, or too few.
        """
        found = {
            name: [round(metric.factor * x, 4) for x in read_curve(folder, metric.key)]
            for name, metric in METRICS.items()
        }
        curves = {name: values for name, values in found.items() if values}
        train_cfg = read_config(str(task.config), {}).train_cfg
        epochs = self.args.epochs or train_cfg.max_epochs
        expected = math.ceil(epochs / train_cfg.get('val_interval', 1))
        if not curves or any(len(values) != expected for values in curves.values()):
            got = max(map(len, curves.values()), default=0)
            raise InputError(
                f'{folder}: expected {expected} validations in {epochs} epochs, got {got}; '
                'delete the folder to run it again'
            )
        return Run(
            config=task.config.stem,
            seed=task.seed,
            epochs=epochs,
            curves=curves,
            seconds=seconds,
            device=device_name(self.args.threads),
            commit=self.commit,
        )


def last_line(log: Path) -> str:
    """Returns the last line of a log, behind the path of the log."""
    lines = log.read_text(errors='replace').strip().splitlines()
    return f'{log}: {lines[-1] if lines else "empty"}'


def device_name(threads: int) -> str:
    """Returns what a training runs on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'CPU, {threads} thread{"s" if threads > 1 else ""}'


def commit_of(folder: Path) -> str | None:
    """Returns the revision of a checkout, with a plus if files differ from it."""
    git = ['git', '-C', str(folder)]
    try:
        head = subprocess.run(
            [*git, 'rev-parse', '--short=12', 'HEAD'], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, 'status', '--porcelain', '--untracked-files=no'],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return None
    return head.stdout.strip() + '+' * bool(changed.stdout)


if __name__ == '__main__':
    main()
