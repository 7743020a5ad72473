"""Trainings with averaged weights, and from `.safetensors`: what each tool makes of their files."""

import pytest
import torch

from mmdefocus.checkpoints.files import read_checkpoint

EMA = "custom_hooks = [*custom_hooks, dict(type='EMAHook', momentum=0.5)]\n"
STILL = "optim_wrapper['optimizer'] = dict(type='SGD', lr=0.0)\n"
ONE_EPOCH = ('--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1')


def weights_of(path):
    return read_checkpoint(path)['state_dict']


def assert_equal(found, expected):
    assert found.keys() <= expected.keys()
    for name, weight in found.items():
        assert torch.equal(weight, expected[name]), name


@pytest.fixture
def published(workshop, trained):
    """A trained checkpoint as it is published in `.safetensors`, without auxiliary classifier."""
    workshop.run('publish_model', trained, 'out/a.pth')
    (path,) = (workshop.path / 'out').glob('*.safetensors')
    return path


@pytest.fixture
def averaged(workshop):
    """The checkpoint of a training with averaged weights."""
    workshop.run('train', workshop.config(EMA), *ONE_EPOCH)
    return workshop.path / 'run' / 'epoch_1.pth'


def test_trains_from_safetensors(workshop, published):
    options = (*ONE_EPOCH, f'load_from={published}')
    workshop.run('train', workshop.config(STILL), *options)
    assert_equal(weights_of(published), weights_of('run/epoch_1.pth'))


def test_a_backbone_starts_from_safetensors(workshop, published):
    rule = f"dict(type='Pretrained', checkpoint='{published}', prefix='backbone.')"
    config = workshop.config(STILL + f"model['backbone']['init_cfg'] = {rule}\n")
    workshop.run('train', config, *ONE_EPOCH)
    expected = {n: w for n, w in weights_of(published).items() if n.startswith('backbone.')}
    assert_equal(expected, weights_of('run/epoch_1.pth'))


def test_safetensors_cannot_be_resumed_and_says_so(workshop, published):
    found = workshop.error('train', workshop.config(), '--resume', published, '--work-dir', 'run')
    assert 'cannot be resumed, it lacks ' in found
    assert 'load_from' in found


def test_averaged_weights_are_those_of_inference(workshop, averaged):
    saved = read_checkpoint(averaged)
    last = {n.removeprefix('module.'): w for n, w in saved['ema_state_dict'].items()}
    assert any(not torch.equal(w, last[n]) for n, w in saved['state_dict'].items())
    workshop.run('publish_model', averaged, 'out/a.pth')
    (path,) = (workshop.path / 'out').glob('*.pth')
    assert_equal(weights_of(path), saved['state_dict'])


def test_a_training_from_averaged_weights_averages_anew(workshop, averaged):
    options = ('--work-dir', 'next', '--cfg-options', 'train_cfg.max_epochs=1')
    workshop.run('train', workshop.config(EMA + STILL), *options, f'load_from={averaged}')
    expected = weights_of(averaged)
    found = read_checkpoint('next/epoch_1.pth')
    assert_equal(found['state_dict'], expected)
    assert found['ema_state_dict']['steps'] == 2  # of this training alone
