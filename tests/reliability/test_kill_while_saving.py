"""Kills trainings that do little but save, with one checkpoint kept, and looks at what is left."""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import pytest
import torch
import toys  # noqa: F401  registers a data set
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn

from mmdefocus.engine.config.changes import resume
from mmdefocus.engine.launch import train
from mmdefocus.engine.resuming.newest import newest_checkpoint, saved_checkpoints

KILLS = int(os.environ.get('MMDEFOCUS_KILLS', 6))
LIMIT = 60  # seconds


@MODELS.register_module()
class WideModel(BaseModel):
    """Weights that take longer to save than to train."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(200_000))

    def forward(self, inputs, mode='tensor'):
        return {'loss': (self.weight[:1] - 1).square().sum()}


def config(folder, by_epoch):
    loop = dict(max_epochs=100_000) if by_epoch else dict(max_iters=100_000)
    hook = dict(type='CheckpointHook', interval=1, by_epoch=by_epoch, max_keep_ckpts=1)
    return Config(
        dict(
            model=dict(type='WideModel'),
            work_dir=str(folder),
            train_dataloader=dict(
                dataset=dict(type='ToyDataset'),
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler'),
            ),
            train_cfg=dict(by_epoch=by_epoch, **loop),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
            default_hooks=dict(checkpoint=hook),
            log_level='WARNING',
        )
    )


def start(folder, by_epoch):
    """Starts or resumes a training in a process of its own; returns the id of the process."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with (folder.parent / 'log').open('a') as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        torch.set_num_threads(1)
        cfg = config(folder, by_epoch)
        resume(cfg, 'auto')
        train(cfg, look_at_data=False)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def iteration(folder):
    """Returns the iteration in the name of the newest checkpoint, -1 before the first."""
    saved = saved_checkpoints([folder])
    return int(saved[0].path.stem.partition('_')[2]) if saved else -1


def wait_for_a_save(child, folder, before):
    end = time.monotonic() + LIMIT
    while iteration(folder) <= before:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), (folder.parent / 'log').read_text()[-2000:]
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epoch', 'iteration'])
def test_kill_while_saving_leaves_a_whole_checkpoint(tmp_path, by_epoch):
    folder = tmp_path / 'run'
    folder.mkdir()
    chance = random.Random(by_epoch)
    for _ in range(max(KILLS // 2, 1)):
        before = iteration(folder)
        child = start(folder, by_epoch)
        wait_for_a_save(child, folder, before)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        newest = newest_checkpoint([folder])
        assert newest == str(saved_checkpoints([folder])[0].path)  # none is damaged
        assert (folder / 'last_checkpoint').read_text()
        assert len(list(Path(folder).glob('*.pth'))) <= 2
