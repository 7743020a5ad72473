import pytest
import torch
from mmengine.config import Config
from torch import nn

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


def test_resumed_training_equals_an_unbroken_one(make_flexible, tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False))
    whole = make_flexible(tmp_path / 'whole', default_hooks=hooks)
    whole.train()
    resumed = make_flexible(
        tmp_path / 'parts', resume=True, load_from=str(tmp_path / 'whole' / 'iter_3.pth')
    )
    resumed.train()
    assert resumed.model.seen[-3:] == whole.model.seen[-3:]
    assert torch.equal(resumed.model.linear.weight, whole.model.linear.weight)


def test_blocks_are_the_units_of_fsdp():
    block = Block(nn.Identity(), nn.Identity())
    assert wrap_blocks(block, recurse=False, nonwrapped_numel=0)
    assert wrap_blocks(nn.Linear(1, 1), recurse=True, nonwrapped_numel=0)
    assert not wrap_blocks(nn.Linear(1, 1), recurse=False, nonwrapped_numel=0)
