"""Trainings of several processes: one that becomes two, and one of which freezes."""

import os
import signal
import time

import torch
from kills import kill, wait
from trainings import PLAIN

from mmdefocus.checkpoints.files import read_checkpoint

TIMEOUT = 6  # seconds


def test_one_process_becomes_two_in_mid_epoch(config, train, tmp_path):
    """The samples of each step and the losses are those of one process."""
    one, two = (
        config(f'{PLAIN}train_dataloader.update(batch_size={6 // processes})\n', f'on{processes}')
        for processes in (1, 2)
    )
    train(1, one, 'one')
    train(2, two, 'two', '--resume', str(tmp_path / 'one' / 'iter_3.pth'))
    one, two = (read_checkpoint(str(tmp_path / name / 'iter_10.pth')) for name in ('one', 'two'))
    for name, weight in one['state_dict'].items():
        torch.testing.assert_close(two['state_dict'][name], weight, rtol=0, atol=1e-6)
    losses = [
        torch.from_numpy(saved['message_hub']['log_scalars']['train/mean'].values)
        for saved in (one, two)
    ]
    assert len(losses[0]) == 10
    torch.testing.assert_close(*losses, rtol=0, atol=1e-6)
    start = read_checkpoint(str(tmp_path / 'one' / 'iter_3.pth'))['state_dict']
    changed = [not torch.equal(start[name], w) for name, w in one['state_dict'].items()]
    assert any(changed)


def test_a_frozen_process_is_found_by_the_timeout(config, start, train, tmp_path):
    """The other one ends with one message, and both go on from the last checkpoint."""
    settings = f'env_cfg = dict(dist_cfg=dict(timeout={TIMEOUT}))\n'
    path = config(settings + 'train_cfg = dict(max_epochs=10)\n')
    train(2, path, 'whole')

    first, second = start(2, path, 'parts')
    end = time.monotonic() + 100
    while not (tmp_path / 'parts' / 'iter_3.pth').exists():
        assert wait([first], 0.01) == [None] and time.monotonic() < end
    os.kill(second, signal.SIGSTOP)
    assert wait([first], 10 * TIMEOUT) == [1]
    kill(second)
    lines = (tmp_path / 'parts.0.log').read_text().splitlines()
    (error,) = (line for line in lines if line.startswith('error: '))
    assert 'process 0 has lost another process, which is gone or has not answered for ' in error
    assert f'for {TIMEOUT} seconds (env_cfg.dist_cfg.timeout)' in error

    train(2, path, 'parts', '--resume')
    whole, parts = (read_checkpoint(str(tmp_path / n / 'iter_20.pth')) for n in ('whole', 'parts'))
    for name, weight in whole['state_dict'].items():
        assert torch.equal(parts['state_dict'][name], weight), name
