import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn

import mmdefocus.engine  # noqa: F401  registers the reader
from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.utils.checkpoint_meta import classes_of, meta_of
from mmdefocus.utils.errors import InputError


@pytest.mark.parametrize('meta', [None, {}, {'dataset_meta': None}, {'dataset_meta': {}}])
def test_a_checkpoint_may_have_no_classes(meta):
    assert classes_of({'meta': meta}, 'a.pth') == classes_of({}, 'a.pth') == ()


@pytest.mark.parametrize(
    ('meta', 'key'),
    [('x', 'meta'), (torch.ones(2), 'meta'), ({'dataset_meta': 'x'}, 'dataset_meta')],
)
def test_meta_of_another_form_is_refused(meta, key):
    with pytest.raises(InputError, match=rf'^checkpoint a\.pth: expected {key} to be a dict, got'):
        meta_of({'meta': meta}, 'a.pth')


@pytest.mark.parametrize('classes', [7, 'cat', (1, 2), {'a': 1}, torch.ones(2)])
def test_classes_that_are_no_names_are_refused(classes):
    with pytest.raises(InputError, match=r'^checkpoint a\.pth: .* expected a tuple of texts, got'):
        classes_of({'meta': {'dataset_meta': {'classes': classes}}}, 'a.pth')


@pytest.fixture
def save(tmp_path):
    """Writes weights with some meta; returns the path."""

    def write(meta) -> str:
        weights = dict(weight=torch.ones(1, 1), bias=torch.ones(1))
        torch.save(dict(state_dict=weights, meta=meta), tmp_path / 'a.pth')
        return str(tmp_path / 'a.pth')

    return write


def test_mmengine_does_not_load_a_checkpoint_whose_meta_is_no_dict(save):
    with pytest.raises(InputError, match='expected meta to be a dict, got str'):
        load_checkpoint(nn.Linear(1, 1), save('x'))


@pytest.mark.parametrize('meta', ['x', {'dataset_meta': 'x'}, {'dataset_meta': {'classes': (1,)}}])
def test_nothing_is_published_with_meta_of_another_form(save, meta):
    with pytest.raises(InputError, match='expected'):
        inference_checkpoint(save(meta))
