"""Adventurer against the plain mixer on tokens that were put in order by hand."""

import pytest
import torch

from mmdefocus.models import ImageStream
from mmdefocus.models.mixers import Mamba2Mixer


@pytest.fixture
def model(build_family):
    torch.manual_seed(0)
    return build_family('Adventurer', out_type='cls_and_tokens').double().eval()


@pytest.mark.parametrize(
    ('layer', 'order'), [(0, [0, 1, 2, 3]), (1, [3, 2, 1, 0]), (2, [0, 1, 2, 3])]
)
def test_a_mixer_reads_the_average_the_patches_in_its_direction_and_cls(model, layer, order):
    mixer, order = model.blocks[layer].mixer, [*order, 4]
    tokens = torch.randn(2, 5, 16, dtype=torch.float64)
    found = Mamba2Mixer.forward(mixer, torch.cat((tokens.mean(1, True), tokens[:, order]), 1))
    expected = torch.empty_like(tokens)
    expected[:, order] = found[:, 1:]
    torch.testing.assert_close(mixer(tokens, None), expected)


def test_every_token_sees_every_patch(model):
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    changed = images.clone()
    changed[..., 24:, 24:] += 1
    ((cls, tokens),), ((cls_after, tokens_after),) = model(images), model(changed)
    assert (tokens != tokens_after).any(-1).all() and (cls != cls_after).any()


def test_it_cannot_be_read_as_a_stream(model):
    with pytest.raises(ValueError, match='HeadedMamba2Mixer reads the image in several directions'):
        ImageStream(model, 32)
