import pytest
import torch
from torch import nn

from mmdefocus import models
from mmdefocus.engine.optimizers import DefocusOptimWrapperConstructor


class Filter(nn.Module):
    def __init__(self):
        super().__init__()
        self.A_log = nn.Parameter(torch.zeros(4, 2))
        self.weight = nn.Parameter(torch.zeros(4, 2))

    def no_weight_decay(self):
        return {'A_log'}


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.mixer = nn.Module()
        self.mixer.filter = Filter()
        self.mixer.D = nn.Parameter(torch.zeros(4))
        self.mixer.proj = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def no_weight_decay(self):
        return {'cls_token'}


def groups(paramwise_cfg=None, model=None):
    """Returns the optimizer's group of each parameter."""
    model = model or Toy()
    config = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1))
    wrapper = DefocusOptimWrapperConstructor(config, paramwise_cfg)(model)
    names = {id(param): name for name, param in model.named_parameters()}
    return {
        names[id(p)]: group for group in wrapper.optimizer.param_groups for p in group['params']
    }


DECAYED = {'mixer.filter.weight', 'mixer.proj.weight', 'head.weight'}


@pytest.mark.parametrize(
    'paramwise_cfg',
    [
        None,
        {},
        dict(custom_keys={'mixer': dict(lr_mult=0.1, decay_mult=1.0)}),
        dict(custom_keys={'cls_token': dict(decay_mult=3.0), 'A_log': dict(decay_mult=2.0)}),
        dict(norm_decay_mult=1.0, bias_decay_mult=1.0),
    ],
)
def test_decays_what_no_module_excludes_whatever_the_config_says(paramwise_cfg):
    found = groups(paramwise_cfg)
    assert len(found) == 10
    assert {name for name, group in found.items() if group['weight_decay'] > 0} == DECAYED


@pytest.mark.parametrize(
    'family',
    [
        *('DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT'),
        *('Adventurer', 'BidirectionalMamba', 'MambaND', 'S4NDViT', 'VisionRWKV'),
    ],
)
def test_our_backbones_exclude_embeddings_and_filters(family):
    model = getattr(models, family)('tiny', patch_size=32)
    excluded = {'cls_token', 'pos_embed', 'A_log', 'freq'}
    for name, group in groups(model=model).items():
        is_free = model.get_parameter(name).ndim <= 1 or name.rpartition('.')[2] in excluded
        assert (group['weight_decay'] == 0.0) == is_free, name


def test_keeps_learning_rates_and_other_decays_of_custom_keys():
    found = groups(dict(custom_keys={'mixer': dict(lr_mult=0.1), 'head': dict(decay_mult=0.5)}))
    assert found['mixer.filter.A_log']['lr'] == pytest.approx(1e-4)
    assert found['norm.weight']['lr'] == pytest.approx(1e-3)
    assert found['head.weight']['weight_decay'] == pytest.approx(0.05)


def test_parameters_of_equal_settings_share_a_group():
    found = groups(dict(custom_keys={'mixer': dict(lr_mult=0.1)}))
    assert len({id(group) for group in found.values()}) == 4  # two rates, with decay and without


def test_refuses_a_key_that_would_be_ignored():
    with pytest.raises(ValueError, match="unknown key 'custom_key', expected some of custom_keys"):
        groups(dict(custom_key={}))


@pytest.mark.parametrize('settings', [dict(lr_mul=0.1), dict(weight_decay=0.3), 0.1])
def test_settings_of_a_custom_key_that_mmengine_would_ignore_are_refused(settings):
    with pytest.raises(ValueError, match=r'custom_keys.head: expected a dict of decay_mult and'):
        groups(dict(custom_keys={'head': settings}))


def test_a_custom_key_that_no_parameter_has_is_told(monkeypatch):
    told = []
    module = 'mmdefocus.engine.optimizers.defocus_optim_wrapper_constructor'
    monkeypatch.setattr(f'{module}.print_log', lambda message, *_: told.append(message))
    groups(dict(custom_keys={'haed': dict(lr_mult=0.1), 'head': dict(lr_mult=0.1)}))
    assert told == ["paramwise_cfg.custom_keys: no parameter has 'haed' in its name"]
