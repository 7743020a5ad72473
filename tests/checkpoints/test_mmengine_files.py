import mmengine
import pytest
import torch
from mmengine.runner import save_checkpoint

import mmdefocus.engine  # noqa: F401  (makes the backend MMEngine's)
from mmdefocus.checkpoints import mmengine_files
from mmdefocus.checkpoints.digest import read_digest
from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.utils.errors import InputError

WEIGHT = torch.arange(9.0)
CHECKPOINT = {'state_dict': {'weight': WEIGHT}, 'meta': {'epoch': 1}}


@pytest.mark.parametrize('options', [{}, dict(file_client_args=dict(backend='disk'))])
def test_checkpoint_that_mmengine_saves_has_a_digest(tmp_path, options):
    path = tmp_path / 'new' / 'epoch_1.pth'
    save_checkpoint(CHECKPOINT, str(path), **options)
    assert read_digest(path.read_bytes()) is not None
    assert read_checkpoint(path)['state_dict']['weight'].tolist() == list(range(9))
    assert [found.name for found in path.parent.iterdir()] == ['epoch_1.pth']


def test_checkpoint_that_cannot_be_read_back_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint(CHECKPOINT, str(path))
    before = path.read_bytes()

    def damage(path):
        content = bytearray(path.read_bytes())
        content[content.index(WEIGHT.numpy().tobytes())] ^= 1
        path.write_bytes(content)
        read_checkpoint(path)

    monkeypatch.setattr(mmengine_files, 'seal', damage)
    with pytest.raises(InputError, match='damaged'):
        save_checkpoint(CHECKPOINT, str(path))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ['epoch_1.pth']


def test_other_files_of_mmengine_are_replaced_whole(tmp_path):
    path = tmp_path / 'results.json'
    for content in ({'a': 1}, {'b': 2}):
        mmengine.dump(content, path)
        assert mmengine.load(path) == content
    assert [found.name for found in tmp_path.iterdir()] == ['results.json']
