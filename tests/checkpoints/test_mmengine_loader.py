"""What MMEngine gets when this project's reader reads a checkpoint for it."""

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmdefocus.engine  # noqa: F401  registers the reader
from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.utils.errors import InputError


@pytest.fixture
def load(tmp_path):
    """Saves a checkpoint with these parts and loads it as MMEngine does."""

    def run(**parts):
        torch.save(dict(dict(state_dict=dict(a=torch.ones(1))), **parts), tmp_path / 'a.pth')
        return CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), logger=None)

    return run


def test_logs_are_history_buffers_that_go_on(load):
    log = HistoryBuffer(np.array([1.0, 3.0]), np.array([1, 1]), max_length=7)
    hub = dict(log_scalars=dict(loss=log), runtime_info=dict(iter=3), resumed_keys={})
    found = load(message_hub=hub)['message_hub']['log_scalars']['loss']
    assert isinstance(found, HistoryBuffer)
    assert found.max_length == 7
    found.update(5.0)
    assert found.data[0].tolist() == [1, 3, 5]
    assert (found.mean(), found.current(), found.statistics('min')) == (3, 5, 1)


def test_logs_do_not_change_with_the_file(load, tmp_path):
    hub = dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1])), runtime_info={}, resumed_keys={})
    found = load(message_hub=hub)['message_hub']['log_scalars']['loss']
    (tmp_path / 'a.pth').write_bytes(b'')
    assert found.data[0].tolist() == [1]


def test_averaged_weights_are_checked_and_given(load):
    found = load(ema_state_dict=dict(steps=torch.tensor(3), a=torch.full((1,), 2.0)))
    assert found['ema_state_dict']['a'].item() == 2
    with pytest.raises(InputError, match='weight a is NaN or infinite'):
        load(ema_state_dict=dict(a=torch.tensor([float('nan')])))


def test_weights_alone_become_a_state_dict(tmp_path):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'a.pth')
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), logger=None)
    assert found['state_dict'].keys() == read_checkpoint(tmp_path / 'a.pth').keys() == {'a'}
