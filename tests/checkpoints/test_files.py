import json
import os
import sys
import types
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

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
    with pytest.raises(AttributeError, match='local object'):
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


@pytest.mark.skipif(os.name != 'posix', reason='files have no such mode')
def test_safetensors_file_is_readable_as_other_files_are(tmp_path, checkpoint):
    for name in ('a.pth', 'a.safetensors'):
        write_checkpoint(checkpoint, tmp_path / name)
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_safetensors_file_whose_meta_is_no_dict_is_refused(tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file({'a': torch.ones(1)}, path, {'meta': '[1]'})
    with pytest.raises(InputError, match=r'expected meta to be a dict, got \[1\]'):
        read_checkpoint(path)


def test_meta_that_is_not_written_as_json_is_refused(tmp_path):
    checkpoint = {'state_dict': {'a': torch.ones(1)}, 'meta': {'epoch': torch.ones(1)}}
    with pytest.raises(InputError, match=r'meta is not written as \.safetensors: .* Tensor'):
        write_checkpoint(checkpoint, tmp_path / 'weights.safetensors')
    assert not list(tmp_path.iterdir())


def test_logs_of_mmengine_are_plain_data(tmp_path):
    logs = {'loss': HistoryBuffer([1.0, 2.0], [1, 1])}
    torch.save({'state_dict': {}, 'message_hub': logs}, tmp_path / 'epoch.pth')
    found = read_checkpoint(tmp_path / 'epoch.pth')['message_hub']['loss']
    assert (found.values.tolist(), found.counts.tolist()) == ([1, 2], [1, 1])
    assert found.max_length == 1_000_000


def test_configurations_of_the_released_trainer_are_plain_dicts(tmp_path, monkeypatch):
    class CfgNode(dict):
        __module__ = 'yacs.config'
        __qualname__ = 'CfgNode'

    module = types.ModuleType('yacs.config')
    module.CfgNode = CfgNode
    path = tmp_path / 'released.pth'
    config = CfgNode(lr=0.1)
    config.frozen = True
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
        patch.setitem(sys.modules, 'yacs.config', module)
        torch.save({'model': {'a': torch.ones(1)}, 'config': config}, path)

    found = read_weights(path)
    assert torch.equal(found.tensors['a'], torch.ones(1))
    assert (found.key, found.rest) == ('model', {'config': {'lr': 0.1}})
    assert type(found.rest['config']) is OrderedDict


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_all_kinds_of_data_in_checkpoints_are_read(tmp_path, protocol):
    weights = OrderedDict(a=torch.randn(2, 3).T, b=torch.ones(0), c=torch.tensor(3))
    weights.update(d=torch.ones(4, dtype=torch.bfloat16)[1:3], e=nn.Parameter(torch.ones(2)))
    weights._metadata = OrderedDict({'': {'version': 1}})
    content = {
        'state_dict': weights,
        'arrays': [np.arange(6.0).reshape(2, 3).T, np.float64(2.5), np.ones(2, bool)],
        'plain': (1, -2, 2**70, 0.5, None, True, b'bytes', b'', {1, 2}, frozenset('a'), [()]),
        'torch': [torch.float16, torch.Size([1, 2]), torch.device('cuda', 0)],
        'counts': Counter({3: 1}),
        'groups': defaultdict(dict, {'a': {}}),
    }
    torch.save(content, tmp_path / 'all.pth', pickle_protocol=protocol)
    found = read_checkpoint(tmp_path / 'all.pth')
    torch.testing.assert_close(found['state_dict'], dict(weights), rtol=0, atol=0)
    assert found['state_dict']._metadata == weights._metadata
    np.testing.assert_equal(found['arrays'], content['arrays'])
    for key in ('plain', 'torch', 'counts', 'groups'):
        assert found[key] == content[key]


@pytest.mark.parametrize('old_format', [False, True])
def test_shared_weights_stay_shared(tmp_path, old_format):
    weight = torch.ones(4)
    weights = {'a': weight, 'b': weight[:2]}
    path = tmp_path / 'shared.pth'
    torch.save(weights, path, _use_new_zipfile_serialization=not old_format)
    found = read_checkpoint(path)
    found['a'].zero_()
    assert found['b'].tolist() == [0, 0]
    assert torch.load(path, weights_only=True)['a'].tolist() == [1, 1, 1, 1]


def test_shared_weights_are_written_as_safetensors(tmp_path):
    weight = torch.ones(4)
    write_checkpoint({'a': weight, 'b': weight[:2]}, tmp_path / 'shared.safetensors')
    found = read_checkpoint(tmp_path / 'shared.safetensors')
    assert (found['a'].tolist(), found['b'].tolist()) == ([1] * 4, [1] * 2)


def test_files_of_the_safetensors_library_are_read(tmp_path):
    weights = {'a': torch.randn(3), 'b': torch.ones(2, 2, dtype=torch.int64), 'c': torch.ones(0)}
    save_file(weights, tmp_path / 'other.safetensors')
    found = read_checkpoint(tmp_path / 'other.safetensors')
    torch.testing.assert_close(found, weights, rtol=0, atol=0)


def test_written_files_are_read_by_pytorch(tmp_path, checkpoint):
    write_checkpoint(checkpoint, tmp_path / 'weights.pth')
    for in_place in (False, True):
        found = torch.load(tmp_path / 'weights.pth', weights_only=True, mmap=in_place)
        torch.testing.assert_close(found, checkpoint, rtol=0, atol=0)


def test_archive_without_checksums_says_how_to_get_them(tmp_path):
    module = 'torch.utils.serialization'
    settings = pytest.importorskip(module, reason='this torch writes them always').config
    with settings.patch('save.compute_crc32', False):  # as torch's set_crc32_options does
        torch.save({'a': torch.ones(2)}, tmp_path / 'bare.pth')
    with pytest.raises(InputError, match=r'bare\.pth .*set_crc32_options\(True\)'):
        read_checkpoint(tmp_path / 'bare.pth')
