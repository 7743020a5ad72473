import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import MODELS, DefaultScope

from mmdefocus.models.build import build_model


@MODELS.register_module(force=True)
class ModelToBuild(BaseModel):
    """Has one weight."""

    def __init__(self, data_preprocessor=None, head=None):
        super().__init__(data_preprocessor)
        if head is not None:
            head['written'] = True  # as mmdet's DINO does
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode='tensor'):
        """Is not called."""


@MODELS.register_module(force=True)
class PreprocessorToBuild(BaseDataPreprocessor):
    """Another preprocessor than the default."""


def test_preprocessor_beside_the_model_becomes_its_own():
    cfg = Config(
        dict(model=dict(type='ModelToBuild'), data_preprocessor=dict(type='PreprocessorToBuild'))
    )
    assert isinstance(build_model(cfg).data_preprocessor, PreprocessorToBuild)
    assert 'data_preprocessor' not in cfg.model


def test_preprocessor_of_the_model_precedes_the_one_beside_it():
    model = dict(type='ModelToBuild', data_preprocessor=dict(type='PreprocessorToBuild'))
    cfg = Config(dict(model=model, data_preprocessor=dict(type='BaseDataPreprocessor')))
    assert isinstance(build_model(cfg).data_preprocessor, PreprocessorToBuild)


def test_what_a_model_writes_into_its_config_stays_with_it():
    cfg = Config(dict(model=dict(type='ModelToBuild', head=dict(type='Head'))))
    build_model(cfg)
    assert cfg.model.head == dict(type='Head')


def test_model_is_made_on_the_current_device():
    with torch.device('meta'):
        model = build_model(Config(dict(model=dict(type='ModelToBuild'))))
    assert model.weight.is_meta


def test_classes_are_those_of_the_default_scope_which_is_left_as_it_was():
    pytest.importorskip('mmpretrain')
    model = dict(type='LinearClsHead', num_classes=2, in_channels=3)
    cfg = Config(dict(model=model, default_scope='mmpretrain'))
    assert type(build_model(cfg)).__module__.startswith('mmpretrain.')
    assert DefaultScope.get_current_instance() is None
