"""What the card and the config of a folder for a hub say."""

import pytest
from mmengine.config import Config

from mmdefocus.engine.hub_folder import local_paths, model_card, portable
from mmdefocus.models import DefocusCLIP, DefocusMamba


@pytest.mark.parametrize('types', [('DefocusCLIP', 'DefocusMamba'), (DefocusCLIP, DefocusMamba)])
def test_a_card_of_clip_names_its_classes_and_its_task(types):
    model, backbone = types
    content = dict(model=dict(type=model, vision_backbone=dict(type=backbone)))
    cfg = Config(content, cfg_text='model = …', filename='clip.py')
    card = model_card(cfg, dict(meta={}, state_dict={}))
    assert 'DefocusCLIP with the backbone DefocusMamba' in card
    assert 'pipeline_tag: zero-shot-image-classification' in card


def test_a_card_does_not_say_how_the_model_was_trained():
    content = dict(default_scope='mmpretrain', model=dict(type='A', backbone=dict(type='B')))
    cfg = Config(content, cfg_text='model = …', filename='a.py')
    card = model_card(cfg, dict(meta={}, state_dict={}))
    assert 'for use with\n`mmdefocus`' in card and 'train' not in card


def test_class_names_are_texts_on_the_card_whatever_they_hold():
    content = dict(default_scope='mmpretrain', model=dict(type='A', backbone=dict(type='B')))
    cfg = Config(content, cfg_text='model = …', filename='a_*b*.py')
    names = ('a\n---\n# b', '[c](d)', '<e>', 'snow man')
    card = model_card(cfg, dict(meta=dict(dataset_meta=dict(classes=names)), state_dict={}))
    assert r'- 4 classes: a --- \# b, \[c\](d), \<e\>, snow man.' in card.splitlines()
    assert r'# a\_\*b\*' in card.splitlines()


def test_a_portable_config_names_what_it_writes_without_the_folders_above():
    evaluators = [dict(type='DumpResults', out_file_path='/home/me/found.pkl')]
    visualizer = dict(vis_backends=[dict(type='LocalVisBackend', save_dir='/home/me/vis')])
    found = portable(Config(dict(test_evaluator=evaluators, visualizer=visualizer)))
    assert found.test_evaluator[0].out_file_path == 'found.pkl'
    assert found.visualizer.vis_backends[0].save_dir == 'vis'


def test_a_portable_config_has_none_of_several_rules_that_load_weights():
    rules = [dict(type='Pretrained', checkpoint='/home/me/a.pth'), dict(type='Xavier')]
    found = portable(Config(dict(model=dict(init_cfg=rules))))
    assert found.model.init_cfg == [dict(type='Xavier')]


def test_absolute_paths_are_found_wherever_they_are():
    content = dict(
        runs='/home/me/runs',
        pipeline=[dict(type='Load', root='~/data'), ('/home/me/runs', 'hf://o/n/x.pth', 3, None)],
        data_root='data/imagenet',
    )
    assert local_paths(content) == ['/home/me/runs', '~/data']
