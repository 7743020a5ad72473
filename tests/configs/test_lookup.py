"""Configs found by the names in model-index.yml."""

from pathlib import Path

from mmpretrain.apis.model import ModelHub, list_models

ROOT = Path(__file__).parents[2]


def test_mmpretrain_finds_models_by_their_names(monkeypatch):
    monkeypatch.setattr(ModelHub, '_models_dict', {})
    ModelHub.register_model_index(ROOT / 'model-index.yml', config_prefix=ROOT)
    name = 'defocus-mamba-base_8xb128_in1k'
    assert name in list_models('defocus-*')
    config = ModelHub.get(name).config
    assert config.model.backbone.type == 'DefocusMamba'
    assert Path(config.filename) == ROOT / f'configs/imagenet/{name}.py'
