"""CLIP on tar shards: a training that is stopped anywhere and resumed equals an unbroken one."""

import itertools
from pathlib import Path

import pytest
from mmengine.config import Config
from trainings import difference, make_pairs

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.engine.runner import CheckedRunner

pytest.importorskip('open_clip')
CONFIG = Path(__file__).parents[2] / 'reliability' / 'tiny_clip.py'
NAMES = (f'clip{number}' for number in itertools.count())
STEPS = 8  # two epochs


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with three shards of four pairs."""
    return str(make_pairs(tmp_path_factory.mktemp('shards')))


@pytest.fixture
def train(data, tmp_path):
    """Trains in a folder; returns its last weights."""

    def run(folder, stop=None, resume=None, chunk_size=None):
        cfg = Config.fromfile(CONFIG)
        cfg.work_dir, cfg.experiment_name = str(tmp_path / folder), next(NAMES)
        cfg.train_dataloader.dataset.data_root = data
        cfg.train_cfg.max_epochs = 2
        cfg.model.chunk_size = chunk_size
        cfg.default_hooks.checkpoint.interval = stop or STEPS
        if resume:
            cfg.resume, cfg.load_from = True, str(tmp_path / resume)
        runner = CheckedRunner.from_cfg(cfg)
        if stop:
            runner.register_hook(dict(type='StopAfter', steps=stop))
            with pytest.raises(KeyboardInterrupt):
                runner.train()
            return None
        runner.train()
        return read_checkpoint(f'{cfg.work_dir}/iter_{STEPS}.pth')['state_dict']

    return run


def test_the_same_seed_gives_the_same_weights_twice_in_a_process(train):
    assert difference(train('one'), train('other')) is None


@pytest.mark.parametrize(('stop', 'chunk_size'), [(1, None), (4, None), (6, 2)])
def test_resumed_training_equals_an_unbroken_one(train, stop, chunk_size):
    unbroken = train('whole', chunk_size=chunk_size)
    train('broken', stop=stop, chunk_size=chunk_size)
    resumed = train('broken', resume=f'broken/iter_{stop}.pth', chunk_size=chunk_size)
    assert difference(unbroken, resumed) is None
