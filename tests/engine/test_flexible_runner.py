import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.engine.build import build_runner
from mmdefocus.engine.flexible_runner import CheckedFlexibleRunner
from mmdefocus.engine.sharding import wrap_blocks
from mmdefocus.models.layers.block import Block
from mmdefocus.utils.errors import InputError


@pytest.fixture
def make_flexible(make_runner):
    """Builds a FlexibleRunner on one device."""

    def make(*args, **parts):
        parts = dict(strategy=dict(type='SingleDeviceStrategy'), **parts)
        return make_runner(*args, runner_class=CheckedFlexibleRunner, **parts)

    return make


def test_runner_type_flexible_has_the_checks(make_flexible, tmp_path):
    cfg = Config(dict(runner_type='NoRunner'))
    with pytest.raises(InputError, match="expected one of Runner, FlexibleRunner, got 'NoRunner'"):
        build_runner(cfg)
    torch.save(dict(state_dict=dict(other=torch.ones(1)), meta={}), tmp_path / 'foreign.pth')
    with pytest.raises(InputError, match='does not fit ToyModel: 1 missing'):
        make_flexible(load_from=str(tmp_path / 'foreign.pth')).train()
    assert not list(tmp_path.glob('*.py'))


class Infeasible(MODELS.get('ToyModel')):
    """Fails as a detector does that matches predictions that are NaN."""

    def extra_loss(self, output):
        raise ValueError('matrix contains invalid numeric entries')


def test_predictions_that_are_not_finite_are_explained(make_flexible):
    with pytest.raises(FloatingPointError, match=r'not finite at iteration 1 \(epoch 1\)'):
        make_flexible(model=Infeasible()).train()


def test_a_start_from_averaged_weights_averages_anew(make_flexible, tmp_path):
    ema = dict(custom_hooks=[dict(type='EMAHook', momentum=0.5)])
    still = dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)))
    make_flexible(tmp_path / 'first', **ema).train()
    path = str(tmp_path / 'first' / 'epoch_3.pth')
    make_flexible(tmp_path / 'second', load_from=path, **ema, **still).train()
    first, second = read_checkpoint(path), read_checkpoint(tmp_path / 'second' / 'epoch_3.pth')
    for name, weight in first['state_dict'].items():
        torch.testing.assert_close(second['state_dict'][name], weight)
        torch.testing.assert_close(second['ema_state_dict'][f'module.{name}'], weight)
    assert second['ema_state_dict']['steps'] == 6


def test_blocks_are_the_units_of_fsdp():
    block = Block(nn.Identity(), nn.Identity())
    assert wrap_blocks(block, recurse=False, nonwrapped_numel=0)
    assert wrap_blocks(nn.Linear(1, 1), recurse=True, nonwrapped_numel=0)
    assert not wrap_blocks(nn.Linear(1, 1), recurse=False, nonwrapped_numel=0)
