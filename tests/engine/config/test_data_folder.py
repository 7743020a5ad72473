"""Moving the data of a config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdefocus.engine.config.data_folder import data_arguments, data_options
from mmdefocus.utils.errors import InputError


def test_data_are_moved_with_what_their_roots_share():
    dataset = dict(type='Folders', data_root='data/cifar10/test')
    cfg = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='RepeatDataset', dataset=dict(dataset, data_root='data/cifar10/train')
                )
            ),
            val_dataloader=dict(dataset=dataset),
        )
    )
    assert data_options(cfg, Path('/d')) == {
        'train_dataloader.dataset.dataset.data_root': '/d/train',
        'val_dataloader.dataset.data_root': '/d/test',
    }


def test_the_truth_of_an_evaluator_is_moved_with_the_data():
    dataset = dict(data_root='data/bccd/', ann_file='coco/test.json')
    cfg = Config(
        dict(
            test_dataloader=dict(dataset=dataset),
            test_evaluator=[
                dict(ann_file='data/bccd/coco/test.json'),
                dict(ann_file='data/b.json'),
            ],
        )
    )
    assert data_options(cfg, Path('/d')) == {
        'test_dataloader.dataset.data_root': '/d',
        'test_evaluator.0.ann_file': '/d/coco/test.json',
    }


def test_absolute_and_relative_roots_are_refused():
    loaders = {
        f'{name}_dataloader': dict(dataset=dict(data_root=root))
        for name, root in (('train', 'data/train'), ('val', '/data/test'))
    }
    with pytest.raises(InputError, match='all absolute or all relative, got /data/test, data/t'):
        data_options(Config(loaders), Path('/d'))


@pytest.fixture
def cfg():
    return Config(dict(val_dataloader=dict(dataset=dict(data_root='data/test'))))


def test_data_are_moved_on_a_command_line(cfg):
    assert data_arguments(cfg, Path('/d')) == ['val_dataloader.dataset.data_root=/d']


@pytest.mark.parametrize('root', ['/a,b', '/a b', '(a,b', '2024', "/a'"])
def test_a_root_that_a_command_line_reads_otherwise_is_refused(cfg, root):
    with pytest.raises(InputError, match='--data-root: expected a path without spaces, commas'):
        data_arguments(cfg, Path(root))
