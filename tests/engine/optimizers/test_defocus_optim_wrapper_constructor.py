import pytest
import torch
from torch import nn

from mmdefocus.engine.optimizers import DefocusOptimWrapperConstructor


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.mixer = nn.Module()
        self.mixer.A_log = nn.Parameter(torch.zeros(4, 2))
        self.mixer.D = nn.Parameter(torch.zeros(4))
        self.mixer.freq = nn.Parameter(torch.zeros(2, 4))
        self.mixer.proj = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)


def groups(paramwise_cfg=None):
    """Returns the optimizer's group of each parameter."""
    model = Toy()
    config = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1))
    wrapper = DefocusOptimWrapperConstructor(config, paramwise_cfg)(model)
    names = {id(param): name for name, param in model.named_parameters()}
    return {
        names[id(p)]: group for group in wrapper.optimizer.param_groups for p in group['params']
    }


DECAYED = {'mixer.proj.weight', 'head.weight'}


@pytest.mark.parametrize(
    'paramwise_cfg',
    [
        None,
        {},
        dict(custom_keys={'mixer': dict(lr_mult=0.1, decay_mult=1.0)}),
        dict(custom_keys={'cls_token': dict(weight_decay=0.3), 'A_log': dict(decay_mult=2.0)}),
        dict(norm_decay_mult=1.0, bias_decay_mult=1.0),
    ],
)
def test_decays_matrices_alone_whatever_the_config_says(paramwise_cfg):
    found = groups(paramwise_cfg)
    assert len(found) == 11
    assert {name for name, group in found.items() if group['weight_decay'] > 0} == DECAYED


def test_keeps_learning_rates_and_other_decays_of_custom_keys():
    found = groups(dict(custom_keys={'mixer': dict(lr_mult=0.1), 'head': dict(decay_mult=0.5)}))
    assert found['mixer.A_log']['lr'] == pytest.approx(1e-4)
    assert found['norm.weight']['lr'] == pytest.approx(1e-3)
    assert found['head.weight']['weight_decay'] == pytest.approx(0.05)


def test_parameters_of_equal_settings_share_a_group():
    found = groups(dict(custom_keys={'mixer': dict(lr_mult=0.1)}))
    assert len({id(group) for group in found.values()}) == 4  # two rates, with decay and without


def test_refuses_a_key_that_would_be_ignored():
    with pytest.raises(ValueError, match="unknown key 'custom_key', expected some of custom_keys"):
        groups(dict(custom_key={}))
