"""Trainings of several processes, each of them `tools/train.py`."""

import contextlib
import os
from pathlib import Path

import mean_loss  # noqa: F401  registers a hook
import pytest
from kills import HERE, LIMIT, kill, launch, wait
from trainings import make_images


@pytest.fixture
def config(tmp_path):
    """Writes a config on `tiny_training.py` and twelve images; returns it for further lines."""
    make_images(tmp_path / 'data')

    def write(extra: str = '', name: str = 'tiny') -> Path:
        path = tmp_path / f'{name}.py'
        path.write_text(
            f"_base_ = '{HERE / 'tiny_training.py'}'\n"
            f"train_dataloader = dict(dataset=dict(data_root='{tmp_path / 'data'}'))\n{extra}"
        )
        return path

    return write


@pytest.fixture
def start(tmp_path):
    """Starts the processes of a training, see `launch`, and kills at the end what is left of them.

    `start(processes, config, work_dir, *options)` returns their ids.
    """
    started = []

    def run(processes: int, config: Path, work_dir: str, *options: str) -> list[int]:
        begun = launch(processes, config, tmp_path / work_dir, *options)
        started.extend(begun)
        return begun

    yield run
    for process in started:
        kill(process)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)


@pytest.fixture
def train(start, tmp_path):
    """Trains to the end as `start` does; `train(…, status=1)` expects another exit status."""

    def run(processes: int, config: Path, work_dir: str, *options: str, status: int = 0) -> None:
        found = wait(start(processes, config, work_dir, *options), LIMIT)
        log = (tmp_path / f'{work_dir}.0.log').read_text()
        assert found == [status] * processes, log[-3000:]

    return run
