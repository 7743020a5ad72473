"""Trains configs with several seeds, goes on where it was stopped, and compares the results.

Each run that is finished becomes a small file in the folder of --out and is never repeated; one
that was stopped is resumed. All configs are run with the first seed, then all with the next. A run
that fails is counted, shown and tried again the next time. Without configs, the tables are printed
alone.
"""

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from mmdefocus.analysis.pages import page_with_tables, write_tables
from mmdefocus.analysis.run_curves import draw_learning_curves
from mmdefocus.analysis.run_tables import as_markdown
from mmdefocus.analysis.runs import METRICS, Run, read_runs, result_file, write_run
from mmdefocus.analysis.table_file import read_tables
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.engine.planned_runs import (
    Plan,
    check_folder,
    check_results,
    claim_folder,
    make_plan,
    validations_of,
)
from mmdefocus.engine.preemption import STOPPED
from mmdefocus.engine.run_origin import commit_of, device_name
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_place, replacing
from mmdefocus.utils.locks import claimed

ROOT = Path(__file__).parents[2]
LOG = 'train.log'


class Task(NamedTuple):
    """A run to do: the plan of a config, and a seed."""

    plan: Plan
    seed: int

    def __str__(self) -> str:
        return f'{self.plan.config.stem} seed {self.seed}'


class Outcome(Enum):
    """What becomes of a task; the value is what the summary calls it."""

    DONE = 'done'
    FAILED = 'failed'
    STOPPED = 'stopped'
    ELSEWHERE = 'left to another launcher'


ALWAYS = (Outcome.DONE, Outcome.FAILED)  # told even if there are none


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('configs', nargs='*', type=some_path, metavar='CONFIG')
    parser.add_argument('--out', type=some_path, required=True, help='folder of the results')
    parser.add_argument('--seeds', type=at_least(1), default=3, metavar='N', help='0 to N - 1')
    parser.add_argument('--first-seed', type=at_least(0), default=0, metavar='S')
    parser.add_argument(
        '--data-root', type=some_path, help='the data, if not where the configs say'
    )
    parser.add_argument('--epochs', type=at_least(1), help='if not as many as the configs say')
    parser.add_argument('--threads', type=at_least(1), default=1, help='of each run')
    parser.add_argument('--jobs', type=at_least(1), default=1, help='runs at a time')
    parser.add_argument(
        '--work-dir',
        type=some_path,
        default=Path('work_dirs/ablation_runs'),
        help='logs, checkpoints',
    )
    parser.add_argument(
        '--tables',
        type=some_path,
        default=ROOT / 'configs/cifar10/tables.yml',
        help='rows to print',
    )
    parser.add_argument(
        '--curves', type=some_path, metavar='FILE.png', help='draw learning curves here'
    )
    parser.add_argument('--page', type=some_path, help='Markdown page that gets the tables, too')


@command(add_arguments)
def main(args: Namespace) -> int | None:
    """Runs what is left, and prints the tables."""
    tables, runs = read_tables(args.tables), read_runs(args.out)
    as_markdown(tables, runs)  # what cannot be shown is said before hours of training
    check_outputs(args)
    left = remaining(args, runs)
    failed = Launcher(args).run_all(left) if left else 0
    runs = read_runs(args.out)
    text = as_markdown(tables, runs)
    print(text, end='')
    if args.page:
        write_tables(args.page, text)
    if args.curves:
        write_curves(args.curves, draw_learning_curves(tables, runs))
    return 1 if failed else None


def check_outputs(args: Namespace) -> None:
    """Checks that there is something to show, and that all that is to be written can be.

    Raises:
        InputError: If there is neither a config nor a folder of results, the page has no markers,
            or the curves are no PNG file.
        OSError: If something cannot be written where it should be.
    """
    if not args.configs and not args.out.is_dir():
        raise InputError(
            f'--out: expected a folder of results, or configs to train, got {args.out}'
        )
    if args.curves and args.curves.suffix != '.png':
        raise InputError(f'--curves: expected a name that ends in .png, got {args.curves}')
    if args.page:
        page_with_tables(args.page, '')
    trained = (args.out / 'result.json', args.work_dir / LOG) if args.configs else ()
    for path in filter(None, (args.page, args.curves, *trained)):
        check_place(path)


def write_curves(path: Path, figure: Figure | None) -> None:
    """Writes the learning curves, or says that there are none."""
    if figure is None:
        print(f'{path}: not written, no row of the tables was run', file=sys.stderr)
        return
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=110)


def remaining(args: Namespace, runs: Sequence[Run]) -> list[Task]:
    """Returns the runs without a result, all configs of a seed before the next seed.

    Raises:
        InputError: If two configs have the same name, one cannot be trained, or a result or a work
            directory is of another config of the same name.
    """
    names = Counter(config.stem for config in args.configs)
    for name, times in names.items():
        if times > 1:
            raise InputError(f'CONFIG: expected names that differ, got {name} {times} times')
    plans = [make_plan(config, args.epochs, args.data_root) for config in args.configs]
    for plan in plans:
        check_results(plan, runs, args.out)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    tasks = [Task(plan, seed) for seed in seeds for plan in plans]
    left = [task for task in tasks if not result_of(task, args.out).exists()]
    for task in left:
        check_folder(folder_of(task, args.work_dir), task.plan.settings)
    return left


def result_of(task: Task, out: Path) -> Path:
    """Returns where the result of a task is."""
    return result_file(out, task.plan.config.stem, task.seed)


def folder_of(task: Task, work_dir: Path) -> Path:
    """Returns the work directory of a task."""
    return work_dir / task.plan.config.stem / f'seed-{task.seed}'


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
        counts = Counter(ended)
        told = [
            f'{counts[kind]} {kind.value}' for kind in Outcome if kind in ALWAYS or counts[kind]
        ]
        were = 'run was' if len(tasks) == 1 else 'runs were'
        self.console.print(f'{len(tasks)} {were} left; {", ".join(told)}')
        return counts[Outcome.FAILED]

    def run(self, task: Task) -> Outcome:
        """Trains a task to its end and writes its result."""
        if self.stopping:
            return Outcome.STOPPED
        folder = folder_of(task, self.args.work_dir)
        with ExitStack() as claim:
            try:
                claim.enter_context(claimed(folder, 'ablation.lock'))
            except InputError:
                self.console.print(f'{task}: another launcher trains it')
                return Outcome.ELSEWHERE
            if result_of(task, self.args.out).exists():
                self.console.print(f'{task}: another launcher has trained it')
                return Outcome.ELSEWHERE
            try:
                message, outcome = self.run_claimed(task, folder)
            except InputError as error:
                message, outcome = str(error), Outcome.FAILED
        self.console.print(f'{task}: {message}')
        return outcome

    def run_claimed(self, task: Task, folder: Path) -> tuple[str, Outcome]:
        """Trains a task in a folder that no other launcher uses; returns what to say, and `run`'s.

        Raises:
            InputError: If the config has changed, the folder holds a training of other settings,
                another training still runs in it, or this one has logged too little.
        """
        plan = task.plan
        if make_plan(plan.config, self.args.epochs, self.args.data_root) != plan:
            raise InputError(f'{plan.config}: has changed since the start; run the command again')
        with claimed(folder):  # a training outlives its launcher if that is killed
            settings = claim_folder(folder, plan.settings)
        resumed = any(folder.glob('*.pth'))
        log, begin = folder / LOG, time.perf_counter()
        logged = log.stat().st_size if log.exists() else 0
        status = self.train(task, folder, resumed)
        seconds = time.perf_counter() - begin
        if status == STOPPED:
            return 'stopped and saved', Outcome.STOPPED
        if status:
            return f'status {status}: {last_line(log, logged)}', Outcome.FAILED
        run = Run(
            config=plan.config.stem,
            seed=task.seed,
            epochs=plan.epochs,
            curves=validations_of(plan, folder),
            seconds=None if resumed else round(seconds, 1),
            device=device_name(self.args.threads),
            commit=self.commit,
            settings=settings,
        )
        write_run(run, self.args.out)
        name = next(iter(run.curves))
        return f'{METRICS[name].title} {run.last(name):.2f} in {seconds:.0f} s', Outcome.DONE

    def train(self, task: Task, folder: Path, resumed: bool) -> int:
        """Trains in a process, with its output in `LOG`; returns the exit status."""
        line = [sys.executable, str(ROOT / 'tools/train.py'), str(task.plan.config)]
        line += ['--work-dir', str(folder), '--save-minutes', '5', '--skip-data-check']
        line += ['--resume'] if resumed else []
        line += ['--cfg-options', f'randomness.seed={task.seed}', *task.plan.data]
        line += [f'train_cfg.max_epochs={task.plan.epochs}'] if self.args.epochs else []
        environment = {**os.environ, 'OMP_NUM_THREADS': str(self.args.threads)}
        with (folder / LOG).open('a') as log:
            process = subprocess.Popen(line, stdout=log, stderr=log, env=environment)
            self.processes.add(process)
            try:
                return process.wait()
            finally:
                self.processes.discard(process)


def last_line(log: Path, begin: int) -> str:
    """Returns the last line of a log behind its first bytes, after the path of the log."""
    lines = log.read_bytes()[begin:].decode(errors='replace').strip().splitlines()
    return f'{log}: {lines[-1] if lines else "empty"}'


if __name__ == '__main__':
    main()
