"""Predictors of a tiny classifier with random weights."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmdefocus.apis import Classifier, build_predictor
from mmdefocus.models import DefocusCLIP
from mmdefocus.models.build import build_model
from mmdefocus.utils.errors import InputError

TINY_DINO = Path(__file__).parents[1] / 'data' / 'tiny_dino.py'


def predictor_of(config, path):
    """Builds a predictor of random weights, whose file says nothing of classes."""
    model = build_model(config)
    model.init_weights()
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return build_predictor(config, str(path), 'cpu')


def test_scores_of_a_classifier_are_those_of_its_model(make_predictor, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    predictor = make_predictor()
    assert isinstance(predictor, Classifier)
    found, sample = predictor(tmp_path / 'image.png')
    assert (found == image).all()
    pixels = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = predictor.model((pixels - 127.5) / 64).softmax(-1)[0]
    torch.testing.assert_close(sample.pred_score, expected)
    scores = [entry['score'] for entry in predictor.describe(sample)['classes']]
    assert scores == sorted(expected.tolist(), reverse=True)


@pytest.mark.parametrize(
    ('meta', 'metainfo', 'name'),
    [
        ({'dataset_meta': {'classes': ['a', 'b', 'c']}}, {}, 'b'),
        ({}, {'classes': ['x', 'y', 'z']}, 'y'),
        ({}, {}, '1'),
    ],
    ids=['checkpoint', 'config', 'number'],
)
def test_class_has_the_name_of_the_checkpoint_then_of_the_config(
    make_predictor, meta, metainfo, name
):
    assert make_predictor(meta, metainfo=metainfo).name(1) == name


def test_class_has_the_name_that_a_data_set_of_mmpretrain_gives(tiny, tmp_path):
    tiny.config.model.head.num_classes = 1000
    tiny.config.test_dataloader.dataset.type = 'ImageNet'
    predictor = predictor_of(tiny.config, tmp_path / 'bare.pth')
    assert predictor.name(545) == 'electric fan, blower'


def test_class_has_the_name_that_a_data_set_of_mmdet_gives(tmp_path):
    config = Config.fromfile(TINY_DINO)
    config.model.bbox_head.num_classes = 80
    config.test_dataloader.dataset.update(type='CocoDataset', metainfo=None)
    predictor = predictor_of(config, tmp_path / 'bare.pth')
    assert predictor.name(79) == 'toothbrush'


@pytest.mark.parametrize('count', [2, 4])
def test_names_of_other_number_than_the_classes_of_the_model_are_refused(make_predictor, count):
    with pytest.raises(InputError, match=f'expected 3 names, .* got {count}'):
        make_predictor({'dataset_meta': {'classes': [*'abcd'][:count]}})


def test_names_of_the_config_are_counted(make_predictor):
    with pytest.raises(InputError, match=r'test_dataloader\.dataset .* expected 3 names, .* got 2'):
        make_predictor(metainfo={'classes': ['a', 'b']})


def test_names_of_a_detector_are_counted(tmp_path):
    config = Config.fromfile(TINY_DINO)
    config.test_dataloader.dataset.update(type='CocoDataset', metainfo=None)
    with pytest.raises(InputError, match=r'expected 10 names, .* got 80'):
        predictor_of(config, tmp_path / 'bare.pth')


@pytest.mark.parametrize('names', ['abc', 3, {'a': 0, 'b': 1, 'c': 2}, ['a', 'b', 3]])
def test_what_is_no_sequence_of_names_is_refused(make_predictor, names):
    with pytest.raises(InputError, match=r'meta\.dataset_meta\.classes: expected .* got'):
        make_predictor({'dataset_meta': {'classes': names}})


def test_names_may_repeat(make_predictor):
    names = ['crane', 'crane', 'gull']
    assert make_predictor({'dataset_meta': {'classes': names}}).classes == tuple(names)


def test_pipeline_without_a_loader_is_refused(make_predictor):
    with pytest.raises(InputError, match='pipeline has no LoadImageFromFile'):
        make_predictor(pipeline=[dict(type='PackInputs')])


def test_config_of_another_scope_is_refused():
    with pytest.raises(InputError, match="mmdet or mmpretrain, got 'mmengine'"):
        build_predictor(Config(dict(default_scope='mmengine')), 'weights.pth')


@pytest.mark.parametrize('clip', ['DefocusCLIP', DefocusCLIP], ids=['name', 'class'])
def test_a_model_that_needs_labels_is_refused(clip):
    config = Config(dict(default_scope='mmpretrain', model=dict(type=clip)))
    with pytest.raises(InputError, match=r'got a DefocusCLIP, which needs labels'):
        build_predictor(config, 'weights.pth')


@pytest.mark.parametrize('pipeline', [None, 'LoadImageFromFile', [dict(scale=3)], [None], {}])
def test_what_is_no_list_of_steps_is_refused(make_predictor, pipeline):
    with pytest.raises(InputError, match=r'dataset\.pipeline: expected a list of steps, .* got'):
        make_predictor(pipeline=pipeline)
