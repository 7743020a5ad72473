import json
import sys
import types

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors import safe_open

from mmdefocus.checkpoints.files import read_checkpoint, read_weights, write_checkpoint
from mmdefocus.utils.errors import InputError


@pytest.fixture
def checkpoint():
    return {'state_dict': {'b': torch.ones(2), 'a': torch.eye(3).mT}, 'meta': {'epoch': 3}}


@pytest.mark.parametrize('name', ['new/weights.pth', 'new/weights.safetensors'])
def test_what_was_written_is_read(tmp_path, checkpoint, name):
    write_checkpoint(checkpoint, tmp_path / name)
    found = read_checkpoint(tmp_path / name)
    assert found['meta'] == checkpoint['meta']
    torch.testing.assert_close(found['state_dict'], checkpoint['state_dict'], rtol=0, atol=0)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == [name.removeprefix('new/')]


def test_failed_write_leaves_the_old_file(tmp_path, checkpoint):
    path = tmp_path / 'weights.pth'
    write_checkpoint(checkpoint, path)
    before = path.read_bytes()
    with pytest.raises(AttributeError, match='pickle'):
        write_checkpoint({'state_dict': lambda: None}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_safetensors_file_is_one_for_other_programs_too(tmp_path, checkpoint):
    write_checkpoint(checkpoint, tmp_path / 'weights.safetensors')
    with safe_open(tmp_path / 'weights.safetensors', framework='pt') as file:
        assert sorted(file.keys()) == ['a', 'b']
        assert file.metadata()['format'] == 'pt'
        assert json.loads(file.metadata()['meta']) == {'epoch': 3}


@pytest.mark.parametrize('keep', [3, 100])
def test_safetensors_file_that_is_cut_short_is_named(tmp_path, checkpoint, keep):
    path = tmp_path / 'weights.safetensors'
    write_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf'weights\.safetensors \({keep} bytes\): .* cut short'):
        read_checkpoint(path)


def test_logs_of_mmengine_are_kept(tmp_path):
    logs = {'loss': HistoryBuffer([1.0, 2.0], [1, 1])}
    torch.save({'state_dict': {}, 'message_hub': logs}, tmp_path / 'epoch.pth')
    found = read_checkpoint(tmp_path / 'epoch.pth')
    assert found['message_hub']['loss'].current() == 2.0


def test_objects_of_the_released_trainer_are_for_read_weights_alone(tmp_path, monkeypatch):
    class CfgNode(dict):
        __module__ = 'yacs.config'
        __qualname__ = 'CfgNode'

    module = types.ModuleType('yacs.config')
    module.CfgNode = CfgNode
    path = tmp_path / 'released.pth'
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
        patch.setitem(sys.modules, 'yacs.config', module)
        torch.save({'model': {'a': torch.ones(1)}, 'config': CfgNode()}, path)

    found = read_weights(path)
    assert torch.equal(found.tensors['a'], torch.ones(1))
    assert (found.key, found.rest) == ('model', {'config': {}})
    # MMEngine would load such a file with `weights_only=False`, which executes it
    with pytest.raises(InputError, match=r'refused, because it holds yacs\.config\.CfgNode'):
        read_checkpoint(path)
