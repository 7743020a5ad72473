"""Mamba-ND against the plain mixer on tokens that were reordered by hand."""

import pytest
import torch

from mmdefocus.models import DefocusMamba, ImageStream
from mmdefocus.models.layers import Grid, RasterOrder
from mmdefocus.models.mixers import DirectedMambaMixer, MambaMixer

SIZES = {'embed_dims': 8, 'intermediate_size': 16, 'state_size': 4, 'time_step_rank': 2}
GRID = Grid(RasterOrder(), 2, 3)
ORDERS = {  # places of a sequence of 2 rows of 3, in the order in which they are read
    'H+': [0, 1, 2, 3, 4, 5],
    'H-': [5, 4, 3, 2, 1, 0],
    'W+': [0, 3, 1, 4, 2, 5],
    'W-': [5, 2, 4, 1, 3, 0],
}


@pytest.mark.parametrize('index', range(8))
def test_layers_read_in_the_four_directions_in_turn(index):
    torch.manual_seed(0)
    mixer = DirectedMambaMixer(**SIZES, group_norm_size=16).double()
    mixer.set_layer(index, 8)
    order = torch.tensor(list(ORDERS.values())[index % 4])
    tokens = torch.randn(2, 6, 8, dtype=torch.float64)
    expected = torch.empty_like(tokens)
    expected[:, order] = MambaMixer.forward(mixer, tokens[:, order])
    torch.testing.assert_close(mixer(tokens, GRID), expected)


def test_without_turns_it_is_the_causal_mamba_and_its_answer_the_average(build_family):
    turning = build_family('MambaND', out_type='cls_and_tokens').eval()
    for block in turning.blocks:
        block.mixer.direction = 'H+'
    causal = build_family('DefocusMamba', out_type='tokens').eval()
    causal.load_state_dict(turning.state_dict(), strict=False)
    images = torch.randn(1, 3, 32, 24)
    ((average, tokens),) = turning(images)
    torch.testing.assert_close(tokens, causal(images)[0])
    torch.testing.assert_close(average, tokens.mean(1))


def test_every_token_sees_every_patch(build_family):
    model = build_family('MambaND', depth=4, out_type='tokens').eval()
    images = torch.randn(1, 3, 32, 32)
    changed = images.clone()
    changed[..., 8:16, 8:16] += 1
    difference = (model(changed)[0] - model(images)[0]).abs().amax(-1)
    assert (difference > 0).all()


def test_it_has_a_direction_more_than_a_stream(build_family):
    with pytest.raises(ValueError, match='DirectedMambaMixer reads the image in several directi'):
        ImageStream(build_family('MambaND'), 32)


def test_it_has_no_cls_token(build_family):
    turning, causal = build_family('MambaND'), build_family('DefocusMamba')
    assert isinstance(turning, DefocusMamba)
    assert causal.state_dict().keys() - turning.state_dict().keys() == {'cls_token'}
