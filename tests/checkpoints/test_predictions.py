"""Predictions that MMEngine has pickled are read as data."""

import pickle
from io import BytesIO

import mmengine
import numpy as np
import pytest
import torch

from mmdefocus.checkpoints.mmengine_formats import predictions_readable
from mmdefocus.checkpoints.predictions import read_predictions
from mmdefocus.utils.errors import InputError

TENSORS = [
    torch.rand(3, 4),
    torch.rand(4, 3).t(),
    torch.arange(5),
    torch.tensor(True),
    torch.empty(0, 4),
    torch.rand(2).to(torch.bfloat16),
]


class _Program:
    """Is pickled as a call of `print`."""

    def __reduce__(self):
        return print, ('executed',)


@pytest.mark.parametrize('tensor', TENSORS, ids=lambda x: f'{x.dtype}-{tuple(x.shape)}')
def test_tensors_are_read_as_they_were_written(tensor):
    (found,) = read_predictions(BytesIO(pickle.dumps([tensor], protocol=2)))
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)


def test_mmengine_reads_what_it_has_dumped(tmp_path):
    sample = {'scores': torch.rand(2), 'shape': (48, 64), 'path': 'a.jpg', 'rle': b'\x00\xff'}
    samples = [{**sample, 'scale': np.float64(0.5), 'gt': {'labels': torch.tensor([3])}}]
    mmengine.dump(samples, tmp_path / 'predictions.pkl')
    with predictions_readable():
        (found,) = mmengine.load(tmp_path / 'predictions.pkl')
    assert torch.equal(found.pop('scores'), sample.pop('scores'))
    assert torch.equal(found.pop('gt')['labels'], torch.tensor([3]))
    assert found == {**sample, 'scale': 0.5}


def test_pickles_are_refused_again_afterwards(tmp_path):
    mmengine.dump([1], tmp_path / 'predictions.pkl')
    with predictions_readable():
        assert mmengine.load(tmp_path / 'predictions.pkl') == [1]
    with pytest.raises(InputError, match='a pickle file would be executed'):
        mmengine.load(tmp_path / 'predictions.pkl')


def as_tensor(content: bytes) -> bytes:
    """Returns a pickle that asks for the storage in a file of PyTorch's old format."""

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (content,)

    return pickle.dumps(Storage(), protocol=2)


def old_file(content: object) -> bytes:
    file = BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize(
    'content',
    [
        pickle.dumps(_Program(), protocol=2),
        pickle.dumps(_Program(), protocol=4),
        as_tensor(pickle.dumps(_Program(), protocol=2)),
        as_tensor(old_file(_Program())),
        as_tensor(as_tensor(old_file(torch.rand(2)))),
        as_tensor(old_file([1, 2])),
        as_tensor(old_file(torch.rand(2))[:-3]),
        pickle.dumps([torch.rand(2)], protocol=2)[:-9],
        b'',
        b'\x80\x02e.',  # appends to nothing
        b'\x80\x02h\x05.',  # asks for what was never put
        as_tensor(b'\x80\x02K\x01.' * 3),
    ],
    ids=[
        *('call', 'new call', 'inner call', 'old file', 'twice', 'list', 'cut', 'short', 'empty'),
        *('no list', 'no memo', 'no head'),
    ],
)
def test_what_is_more_or_less_than_data_is_refused(content, capsys):
    with pytest.raises(InputError, match=r'refused, because|cannot be read'):
        read_predictions(BytesIO(content))
    assert not capsys.readouterr().out
