"""What the card of a model says."""

import pytest
from mmengine.config import Config

from mmdefocus.engine.hub_folder import model_card
from mmdefocus.models import DefocusCLIP, DefocusMamba


@pytest.mark.parametrize('types', [('DefocusCLIP', 'DefocusMamba'), (DefocusCLIP, DefocusMamba)])
def test_a_card_of_clip_names_its_classes_and_its_task(types):
    model, backbone = types
    content = dict(model=dict(type=model, vision_backbone=dict(type=backbone)))
    cfg = Config(content, cfg_text='model = …', filename='clip.py')
    card = model_card(cfg, dict(meta={}, state_dict={}))
    assert 'DefocusCLIP with the backbone DefocusMamba' in card
    assert 'pipeline_tag: zero-shot-image-classification' in card
