"""Whether two configs ask for the same training."""

import os
import subprocess
import sys

import pytest
from mmengine.config import Config

from mmdefocus.engine.config.fingerprint import fingerprint

CONFIG = dict(
    optim_wrapper=dict(lr=1e-3),
    train_dataloader=dict(dataset=dict(data_root='data/a/train')),
    val_dataloader=dict(dataset=dict(data_root='data/a/test')),
    val_evaluator=[dict(ann_file='data/a/test.json')],
)


def loaders(train, test):
    return {
        f'{name}_dataloader': dict(dataset=dict(data_root=root))
        for name, root in (('train', train), ('val', test))
    }


@pytest.mark.parametrize(
    'changes',
    [
        dict(optim_wrapper=dict(lr=1e-6)),
        dict(train_cfg=dict(max_epochs=3)),
        dict(randomness=dict(deterministic=True)),
        loaders('data/a/train', 'data/a/train'),
    ],
)
def test_another_training_has_another_fingerprint(changes):
    assert fingerprint(Config(CONFIG | changes)) != fingerprint(Config(CONFIG))


@pytest.mark.parametrize(
    'changes',
    [
        dict(randomness=dict(seed=3)),
        dict(work_dir='work', resume=True, data_root='/b/'),
        dict(loaders('/b/train', '/b/test'), val_evaluator=[dict(ann_file='/b/test.json')]),
    ],
)
def test_seed_and_places_do_not_count(changes):
    assert fingerprint(Config(CONFIG | changes)) == fingerprint(Config(CONFIG))


def test_a_config_is_left_as_it_is():
    cfg = Config(CONFIG)
    fingerprint(cfg)
    assert cfg.to_dict() == Config(CONFIG).to_dict()


def test_a_fingerprint_is_the_same_in_every_process(tmp_path):
    config = tmp_path / 'a.py'
    config.write_text(
        "names = {'a', 'b', 'c', 'd'}\nmodel = dict(call=[lambda: 0, object()], by={1: 0, 'x': 1})"
    )
    code = (
        'import sys; from mmengine.config import Config\n'
        'from mmdefocus.engine.config.fingerprint import fingerprint\n'
        'print(fingerprint(Config.fromfile(sys.argv[1])))'
    )
    found = {
        subprocess.check_output(
            [sys.executable, '-c', code, str(config)],
            env={**os.environ, 'PYTHONHASHSEED': str(seed)},
        )
        for seed in range(2)
    }
    assert len(found) == 1
