"""What a config says about folders of images is held against them, before anything is trained."""

import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config

import mmdefocus.datasets
import mmdefocus.evaluation  # noqa: F401
from mmdefocus.engine.data_check import check_datasets
from mmdefocus.utils.errors import InputError

CLASSES = ('circle', 'square')


@pytest.fixture
def folders(tmp_path):
    """A config of a classifier of the folders a, b and c, with two images each."""
    for split in ('train', 'val'):
        for name in 'abc':
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                path = tmp_path / split / name / f'{number}.png'
                cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    loaders = {
        f'{split}_dataloader': {
            'dataset': {'type': 'FoldersByName', 'data_root': str(tmp_path / split)}
        }
        for split in ('train', 'val')
    }
    return Config(
        {
            'default_scope': 'mmpretrain',
            'model': {
                'type': 'ImageClassifier',
                'data_preprocessor': {'num_classes': 3},
                'head': {'num_classes': 3},
            },
            'val_evaluator': {'type': 'Accuracy', 'topk': (1,)},
            **loaders,
        }
    )


def refused(cfg):
    with pytest.raises(InputError) as error:
        check_datasets(cfg)
    return str(error.value)


def test_a_split_that_lacks_a_folder_is_refused_without_names(folders, tmp_path):
    shutil.rmtree(tmp_path / 'val' / 'a')
    message = refused(folders)
    assert f"the labels of {tmp_path}/val are 'b', 'c'" in message
    assert "type 'CocoByName' or 'FoldersByName'" in message


def test_a_split_may_lack_a_folder_where_the_classes_are_named(folders, tmp_path):
    shutil.rmtree(tmp_path / 'val' / 'a')
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.classes = ('a', 'b', 'c')
    (part,) = check_datasets(folders)['val_dataloader']
    assert part.contents.objects == {'b': 2, 'c': 2}


def test_a_folder_that_is_no_class_is_refused(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.classes = ('a', 'b', 'C')
    assert "folder 'c' is not in classes; nearest: 'C'" in refused(folders)


def test_mmpretrains_class_is_refused_where_it_would_swap_names(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('b', 'a', 'c'))
    assert "use type 'FoldersByName'" in refused(folders)


def test_formats_that_mmpretrain_skips_are_counted(folders, tmp_path):
    folders.train_dataloader.dataset.type = 'CustomDataset'
    source = tmp_path / 'train' / 'a' / '0.png'
    shutil.copy(source, source.with_suffix('.webp'))
    (part,) = check_datasets(folders)['train_dataloader']
    assert part.contents.left_out == {'files of .webp, which the dataset does not read': 1}


@pytest.mark.parametrize('key', ['model.head.num_classes', 'model.data_preprocessor.num_classes'])
@pytest.mark.parametrize('number', [2, 4])
def test_a_classifier_of_another_number_of_classes_is_refused(folders, key, number):
    folders.merge_from_dict({key: number})
    assert f'{key} is {number}, but train_dataloader has 3 classes' in refused(folders)


def test_mixed_labels_need_the_number_of_classes(folders):
    folders.merge_from_dict({'model.train_cfg.augments': [{'type': 'Mixup', 'alpha': 0.8}]})
    del folders.model.data_preprocessor
    assert 'data_preprocessor.num_classes=3 must be set' in refused(folders)


def test_a_top_k_of_more_classes_than_there_are_is_refused(folders):
    folders.val_evaluator.topk = (1, 5)
    assert 'val_evaluator.topk has 5, but val_dataloader has 3 classes' in refused(folders)


def test_a_metric_of_another_number_of_classes_is_refused(folders):
    folders.val_evaluator = {'type': 'SingleLabelMetric', 'num_classes': 5}
    assert 'val_evaluator.num_classes is 5, but val_dataloader has 3 classes' in refused(folders)


def test_folders_that_are_no_wordnet_ids_are_not_named_by_the_order_of_imagenet(folders, tmp_path):
    for split in ('train', 'val'):
        folders[f'{split}_dataloader'].dataset = {
            'type': 'ImageNet',
            'data_root': str(tmp_path),
            'data_prefix': split,
        }
    assert "train: folder 'a', 'b', 'c' is no WordNet id such as n01440764" in refused(folders)


def test_names_that_are_folders_in_another_place_are_refused(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('c', 'b', 'misspelt'))
    assert "use type 'FoldersByName'" in refused(folders)


def test_other_names_for_the_folders_are_taken(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('ant', 'bee', 'cat'))
    check_datasets(folders)


def test_a_dataset_of_another_scope_is_read(folders):
    folders.default_scope = 'mmdet'
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', _scope_='mmpretrain')
    (part,) = check_datasets(folders)['train_dataloader']
    assert part.contents.objects.total() == 6
