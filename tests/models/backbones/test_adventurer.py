"""Adventurer against plain blocks on tokens that were put in order by hand."""

import pytest
import torch

from mmdefocus.models import ImageStream
from mmdefocus.models.layers import Block
from mmdefocus.models.mixers import Mamba2Mixer


@pytest.fixture
def model(build_family):
    torch.manual_seed(0)
    return build_family('Adventurer', out_type='cls_and_tokens').double().eval()


def mixed(block, tokens):
    """What a block of De-focus Mamba-2 makes of the tokens."""
    tokens = tokens + Mamba2Mixer.forward(block.mixer, block.norm(tokens))
    return tokens + block.mlp(block.mlp_norm(tokens))


@pytest.mark.parametrize(
    ('layer', 'order'), [(0, [0, 1, 2, 3]), (1, [3, 2, 1, 0]), (2, [0, 1, 2, 3])]
)
def test_a_layer_reads_the_average_the_patches_in_its_direction_and_cls(model, layer, order):
    block = model.blocks[layer]
    tokens = torch.randn(2, 5, 16, dtype=torch.float64)
    patches, cls_token = tokens[:, :4], tokens[:, 4:]
    found = mixed(
        block, torch.cat((patches.mean(1, keepdim=True), patches[:, order], cls_token), 1)
    )
    expected = torch.empty_like(tokens)
    expected[:, order], expected[:, 4] = found[:, 1:5], found[:, 5]
    assert isinstance(block, Block)
    torch.testing.assert_close(block(tokens), expected)


def test_every_token_sees_every_patch(model):
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    changed = images.clone()
    changed[..., 24:, 24:] += 1
    ((cls, tokens),), ((cls_after, tokens_after),) = model(images), model(changed)
    assert (tokens != tokens_after).any(-1).all() and (cls != cls_after).any()


def test_it_cannot_be_read_as_a_stream(model):
    with pytest.raises(ValueError, match='HeadedMamba2Mixer reads the image in several directions'):
        ImageStream(model, 32)
