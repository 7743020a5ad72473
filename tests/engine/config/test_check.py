import pytest
from mmengine.config import Config

from mmdefocus.engine.config.check import check_data, check_options, check_parts
from mmdefocus.utils.errors import InputError


@pytest.mark.parametrize(
    ('option', 'hint'),
    [('modl.backbone', "no 'modl'; nearest: model"), ('trian_cfg', 'nearest: train_cfg')],
)
def test_option_with_an_unknown_first_key_is_refused(option, hint):
    cfg = Config(dict(model={}, train_cfg={}))
    with pytest.raises(InputError, match=hint):
        check_options(cfg, {option: 1})


def test_option_may_be_a_key_of_the_runner_that_the_config_does_not_set():
    check_options(Config(dict(model={})), {'randomness.seed': 1, 'sync_bn': 'torch'})


def config(dataset, **keys):
    return Config(dict(train_dataloader=dict(dataset=dataset), **keys))


def test_missing_data_is_named_with_the_command_that_makes_it(tmp_path):
    (tmp_path / 'val.json').touch()
    dataset = dict(type='CocoDataset', data_root=str(tmp_path), ann_file='train.json')
    cfg = config(dataset, data_preparation='python make.py')
    with pytest.raises(InputError) as error:
        check_data(cfg, ['train_dataloader', 'val_dataloader'])
    assert str(error.value) == (
        f"train_dataloader.dataset (CocoDataset): ann_file '{tmp_path}/train.json' does not exist; "
        'to make it: python make.py'
    )


def test_empty_data_folder_is_missing_data(tmp_path):
    (tmp_path / 'train').mkdir()
    dataset = dict(
        type='CustomDataset', data_root=str(tmp_path), data_prefix=dict(img_path='train')
    )
    with pytest.raises(InputError, match=r"data_prefix '.*train' is an empty folder"):
        check_data(config(dataset, data_preparation='make'), ['train_dataloader'])


def test_data_inside_a_wrapper_is_looked_at(tmp_path):
    inner = dict(type='CustomDataset', data_root=str(tmp_path / 'nowhere'))
    dataset = dict(type='RepeatDataset', times=2, dataset=inner)
    with pytest.raises(InputError, match='nowhere'):
        check_data(config(dataset, data_preparation='make'), ['train_dataloader'])


def test_datasets_of_a_config_without_preparation_are_left_to_themselves():
    check_data(config(dict(type='CIFAR10', data_root='nowhere')), ['train_dataloader'])


@pytest.mark.parametrize(
    ('dataset', 'message'),
    [
        (None, 'train_dataloader.dataset: expected a dict, got None'),
        ('CocoDataset', "train_dataloader.dataset: expected a dict, got 'CocoDataset'"),
        (dict(ann_file='a.json'), 'train_dataloader.dataset has no `type`; it has ann_file'),
        (dict(type='A', ann_file=5), 'dataset.ann_file: expected a path, got 5'),
        (
            dict(type='A', dataset=[]),
            r'dataset.dataset: expected a dict, got \[\]',
        ),
        (dict(type='A', datasets=[]), 'dataset.datasets: expected a list of datasets, got None'),
        (dict(type='A', datasets=[5]), 'dataset.datasets.0: expected a dict, got 5'),
    ],
)
def test_a_dataset_of_another_form_is_refused_with_its_keys(dataset, message):
    with pytest.raises(InputError, match=message):
        check_parts(config(dataset))


@pytest.mark.parametrize(
    ('keys', 'message'),
    [
        (dict(model='DINO'), "model: expected a dict, got 'DINO'"),
        (dict(val_dataloader=[1]), r'val_dataloader: expected a dict, got \[1\]'),
        (dict(default_scope='mmpretrian'), "'mmpretrian' is no library of OpenMMLab; nearest: mmp"),
    ],
)
def test_a_part_of_another_form_is_refused(keys, message):
    with pytest.raises(InputError, match=message):
        check_parts(config(dict(type='CocoDataset'), **keys))
