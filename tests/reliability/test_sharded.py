"""FSDP on two processes of a CPU: the weights of one process, resumed bit for bit."""

import pytest
import torch
from trainings import PLAIN

from mmdefocus.checkpoints.files import read_checkpoint

FSDP = """
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DefocusFSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', use_orig_params=True, auto_wrap_policy='wrap_blocks'
    ),
    state_dict_cfg='full',
)
"""


def weights_of(path):
    return read_checkpoint(str(path))['state_dict']


@pytest.fixture
def sharded(config):
    """A config of three images a process and step."""
    return config(PLAIN + FSDP, 'sharded')


def test_pieces_train_as_the_whole_and_resume_to_the_bit(config, sharded, train, tmp_path):
    train(1, config(PLAIN + 'train_dataloader.update(batch_size=6)\n', 'plain'), 'plain')
    train(2, sharded, 'whole')
    whole = weights_of(tmp_path / 'whole' / 'iter_10.pth')
    for name, weight in weights_of(tmp_path / 'plain' / 'iter_10.pth').items():
        torch.testing.assert_close(whole[name], weight, rtol=0, atol=1e-6)

    train(2, sharded, 'parts', '--resume', str(tmp_path / 'whole' / 'iter_3.pth'))
    parts = weights_of(tmp_path / 'parts' / 'iter_10.pth')
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())


def test_foreign_weights_are_refused_with_one_message(sharded, train, tmp_path):
    torch.save(dict(state_dict=dict(other=torch.ones(1))), tmp_path / 'foreign.pth')
    options = ('--cfg-options', f'load_from={tmp_path / "foreign.pth"}')
    train(2, sharded, 'foreign', *options, status=1)
    logs = [(tmp_path / f'foreign.{rank}.log').read_text() for rank in (0, 1)]
    errors = [line for log in logs for line in log.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and 'does not fit ImageClassifier' in errors[0]
