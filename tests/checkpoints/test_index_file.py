"""Checkpoints of several files, as Hugging Face writes large ones."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.utils.errors import InputError

PIECES = {'a': {'one': torch.ones(2), 'two': torch.eye(2)}, 'b': {'three': torch.zeros(3)}}


@pytest.fixture
def index(tmp_path):
    """Writes two files and their index, with changes to it; returns the index."""

    def write(suffix='.safetensors', save=save_file, **changes):
        places = {}
        for name, weights in PIECES.items():
            save(weights, tmp_path / f'{name}{suffix}')
            places |= dict.fromkeys(weights, f'{name}{suffix}')
        path = tmp_path / f'model{suffix}.index.json'
        path.write_text(json.dumps(dict(metadata={}, weight_map={**places, **changes})))
        return path

    return write


@pytest.mark.parametrize(('suffix', 'save'), [('.safetensors', save_file), ('.bin', torch.save)])
def test_index_stands_for_all_its_files(index, suffix, save):
    found = read_checkpoint(index(suffix, save))
    assert {name: weight.tolist() for name, weight in found.items()} == {
        name: weight.tolist() for weights in PIECES.values() for name, weight in weights.items()
    }


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(four='a.safetensors'), 'a.safetensors does not hold what it should, such as four'),
        (dict(two='b.safetensors'), 'does not hold what it should, such as two'),
        (dict(four='c.safetensors'), r'c\.safetensors: no such file'),
        (dict(four='../a.safetensors'), r"it names '\.\./a\.safetensors'"),
        (dict(four='/etc/passwd'), r"it names '/etc/passwd'"),
        (dict(four=1), "expected an index with a 'weight_map'"),
    ],
)
def test_index_that_does_not_fit_its_files_is_refused(index, changes, message):
    with pytest.raises(InputError, match=message):
        read_checkpoint(index(**changes))


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"weight_map": []}', '\0'])
def test_what_is_no_index_is_refused(tmp_path, text):
    path = tmp_path / 'model.safetensors.index.json'
    path.write_text(text)
    with pytest.raises(InputError, match='expected an index'):
        read_checkpoint(path)


def test_pieces_are_read_as_data(index, exploit):
    path = index()
    exploit.path.rename(path.with_name('b.safetensors'))
    with pytest.raises(InputError, match=r'b\.safetensors'):
        read_checkpoint(path)


def test_folder_says_what_to_give_instead(index, tmp_path):
    (tmp_path / 'epoch_1.pth').mkdir()
    with pytest.raises(InputError, match='expected a file, got a folder, as sharded trainings'):
        read_checkpoint(tmp_path / 'epoch_1.pth')
    path = index()
    with pytest.raises(InputError, match=f'give {path}'):
        read_checkpoint(tmp_path)
