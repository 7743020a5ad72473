import pytest
import torch
from torch import nn

from mmdefocus.models.layers import Block


@pytest.fixture(params=['mixer', 'mixer and MLP'])
def block(request):
    branches = [nn.LayerNorm(4), nn.Linear(4, 4)] * (2 if 'MLP' in request.param else 1)
    return Block(*branches)


def test_a_branch_is_added_to_its_input():
    norm, mixer = nn.LayerNorm(4), nn.Linear(4, 4)
    tokens = torch.randn(2, 3, 4)
    torch.testing.assert_close(Block(norm, mixer)(tokens), tokens + mixer(norm(tokens)))


def test_the_mlp_reads_what_the_mixer_changed():
    norm, mixer, mlp_norm, mlp = nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4)
    tokens = torch.randn(2, 3, 4)
    mixed = Block(norm, mixer)(tokens)
    expected = mixed + mlp(mlp_norm(mixed))
    torch.testing.assert_close(Block(norm, mixer, mlp_norm, mlp)(tokens), expected)


def test_a_block_whose_branches_are_dropped_passes_its_input_on(block):
    block.drop_path.rate = 1 - 1e-9
    tokens = torch.randn(4, 17, 4)
    assert torch.equal(block.train()(tokens), tokens)
    assert not torch.equal(block.eval()(tokens), tokens)
