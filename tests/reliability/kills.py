"""Kills trainings at random moments, resumes them, and compares the final weights bit for bit.

    python tests/reliability/kills.py --kills 50 --seed 0

prints a table in Markdown: ways to train, kills, and how many runs ended with other weights than
the unbroken one. The status is 1 if any did. Each training is `tools/train.py`, in processes that
are forked from this one, so that a start takes no time to import. A kill is SIGKILL to a process
and its data workers, at a moment that the seed decides; with two processes, to one or to both.
"""

import argparse
import contextlib
import os
import random
import runpy
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import mmpretrain.models  # noqa: F401  (imported before the processes fork)
import torch
from trainings import difference, make_images, make_pairs

import mmdefocus.engine.launch
import mmdefocus.models  # noqa: F401
from mmdefocus.checkpoints.files import read_checkpoint

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / 'tools' / 'train.py'
LIMIT = 300  # seconds that a training may take

ITERATION = """
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=20)
train_dataloader = dict(sampler=dict(_delete_=True, type='InfiniteSampler'))
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', by_epoch=False)
"""
EMA = "custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.1)]\n"
ACCUMULATION = 'optim_wrapper = dict(accumulative_counts=3)\n'
WAYS = {
    'epoch': '',
    'iteration': ITERATION,
    'EMA': EMA,
    'bf16': "optim_wrapper = dict(type='BFloat16OptimWrapper')\n",
    'accumulation': ACCUMULATION,
    'workers': 'train_dataloader = dict(num_workers=2)\n',
    '2 processes': 'train_dataloader = dict(num_workers=1)\ntrain_cfg = dict(max_epochs=10)\n'
    + ACCUMULATION,
    'CLIP': 'model = dict(chunk_size=2)\n',
}
PROCESSES = {'2 processes': 2}
BASES = {'CLIP': 'tiny_clip.py'}


class Training:
    """Starts of one training in a work directory."""

    def __init__(self, way: str, folder: Path, name: str) -> None:
        self.processes = PROCESSES.get(way, 1)
        self.folder = folder
        self.work_dir = folder / name
        self.config = folder / f'{way.replace(" ", "_")}.py'
        base = HERE / BASES.get(way, 'tiny_training.py')
        self.config.write_text(f"_base_ = '{base}'\n{WAYS[way]}")

    def start(self) -> list[int]:
        """Starts all processes; returns their ids."""
        return launch(self.processes, self.config, self.work_dir, '--resume')

    def final(self) -> dict:
        """Returns the checkpoint of the last step."""
        return read_checkpoint(str(self.work_dir / 'iter_20.pth'))


def launch(processes: int, config: Path, work_dir: Path, *options: str) -> list[int]:
    """Forks the processes of a training; each leads a session and has its log beside `work_dir`.

    Returns:
        Their ids.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    arguments = [config, '--work-dir', work_dir, *options]
    arguments += ['--launcher', 'pytorch'] if processes > 1 else []
    places = [
        dict(
            RANK=rank,
            LOCAL_RANK=rank,
            WORLD_SIZE=processes,
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port,
        )
        for rank in range(processes)
    ]
    return [_fork(list(map(str, arguments)), work_dir, place) for place in places]


def _fork(arguments: list[str], work_dir: Path, place: dict[str, object]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        os.chdir(work_dir.parent)
        log = os.open(f'{work_dir}.{place["RANK"]}.log', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, 'w'), os.fdopen(2, 'w')  # pytest's are others
        torch.set_num_threads(1)
        os.environ.update({key: str(value) for key, value in place.items()})
        runpy.run_path(str(TRAIN))['main'](arguments)
        status = 0
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(children: Sequence[int], seconds: float) -> list[int | None]:
    """Waits for processes; returns their statuses, None for those that are still there."""
    end = time.monotonic() + seconds
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        for child in set(children) - set(statuses):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                statuses[child] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            break
        time.sleep(0.005)
    return [statuses.get(child) for child in children]


def kill(child: int) -> None:
    """Kills a process and its workers at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def finish(training: Training) -> float:
    """Trains to the end; returns the seconds."""
    started = time.monotonic()
    statuses = wait(training.start(), LIMIT)
    if any(statuses):
        logs = sorted(training.folder.glob(f'{training.work_dir.name}*.log'))
        raise SystemExit(f'{training.work_dir}: status {statuses}\n{logs[0].read_text()[-3000:]}')
    return time.monotonic() - started


def kill_once(training: Training, duration: float, chance: random.Random) -> bool:
    """Starts a training and kills it; returns False if it had ended before."""
    children = training.start()
    targets = children if chance.random() < 0.5 else [chance.choice(children)]
    early = wait(children, chance.uniform(0.2, 0.95) * duration)
    if None not in early:
        return False
    for target in targets:
        kill(target)
    # The rest of the processes end by themselves when they miss the killed ones.
    rest = wait([c for c, status in zip(children, early, strict=True) if status is None], LIMIT)
    for child in children:
        kill(child)
    if None in rest:
        raise SystemExit(f'{training.work_dir}: a process was left behind')
    return True


def try_way(way: str, kills: int, folder: Path, chance: random.Random) -> tuple[int, int, int]:
    """Kills trainings of one way; returns kills, trainings and those that ended otherwise."""
    whole = Training(way, folder, 'unbroken')
    duration = finish(whole)
    expected = whole.final()
    done = trainings = different = 0
    while done < kills:
        training = Training(way, folder, f'broken{trainings}')
        for _ in range(min(chance.choice((1, 2, 3)), kills - done)):
            done += kill_once(training, duration, chance)
        finish(training)
        trainings += 1
        found = training.final()
        parts = {'state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'} & {*expected}
        different += any(difference(expected[part], found[part]) for part in parts)
    return done, trainings, different


def main() -> None:
    """Tries all ways, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=50, help='kills, spread over the ways')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    wrong = 0
    print('| way to train | kills | trainings | other weights at the end |\n|---|---|---|---|')
    for number, way in enumerate(args.ways):
        share = args.kills // len(args.ways) + (number < args.kills % len(args.ways))
        with tempfile.TemporaryDirectory() as name:
            make_pairs(make_images(Path(name) / 'data'))
            chance = random.Random(f'{args.seed} {way}')
            kills, trainings, different = try_way(way, share, Path(name), chance)
        print(f'| {way} | {kills} | {trainings} | {different} |', flush=True)
        wrong += different
    raise SystemExit(wrong > 0)


if __name__ == '__main__':
    main()
