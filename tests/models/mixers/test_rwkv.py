"""The mixes of Vision-RWKV against plain forms."""

import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import Grid, RasterOrder, SectionOrder
from mmdefocus.models.mixers import ChannelMix, SpatialMix
from mmdefocus.models.mixers.rwkv import quad_shift

GRID = Grid(RasterOrder(), 3, 4)
NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0))  # rows and columns away, a quarter of channels each


def make(kind, **options):
    torch.manual_seed(0)
    mix = kind(8, **options).double()
    with torch.no_grad():
        for parameter in mix.parameters():
            parameter.uniform_(-1, 1)
    return mix, torch.randn(2, 12, 8, dtype=torch.float64)


def shift_by_hand(tokens, grid):
    image = grid.to_map(tokens)
    shifted = torch.zeros_like(image)
    for quarter, (down, right) in enumerate(NEIGHBOURS):
        channels = slice(2 * quarter, 2 * quarter + 2)
        for row in range(grid.height):
            for column in range(grid.width):
                other = row + down, column + right
                if 0 <= other[0] < grid.height and 0 <= other[1] < grid.width:
                    shifted[:, channels, row, column] = image[:, channels, other[0], other[1]]
    return grid.to_tokens(shifted)


@pytest.mark.parametrize('grid', [GRID, Grid(SectionOrder(2), 4, 6)], ids=['raster', 'sections'])
def test_a_quarter_of_the_channels_comes_from_each_neighbour(grid):
    tokens = torch.randn(2, grid.height * grid.width, 8)
    assert torch.equal(quad_shift(tokens, grid), shift_by_hand(tokens, grid))


def between(tokens, mix):
    return mix * tokens + (1 - mix) * shift_by_hand(tokens, GRID)


def ended(mix, y):
    norm = mix.scaled_norm.norm
    return F.layer_norm(y, (8,), norm.weight, norm.bias, 1e-6) * mix.scaled_norm.scale


@pytest.mark.parametrize('key_norm', [0, 1])
def test_the_spatial_mix_is_that_of_the_paper(key_norm):
    mix, tokens = make(SpatialMix, key_norm=key_norm)
    k = between(tokens, mix.mix_key) @ mix.key.weight.mT
    v = between(tokens, mix.mix_value) @ mix.value.weight.mT
    r = between(tokens, mix.mix_receptance) @ mix.receptance.weight.mT
    wkv = torch.empty_like(v)
    for t in range(12):
        distance = (torch.arange(12) - t).abs().unsqueeze(-1)
        bias = -(distance - 1) / 12 * mix.decay
        bias[t] = mix.bonus
        weights = (k + bias).exp()
        wkv[:, t] = (weights * v).sum(1) / weights.sum(1)
    if key_norm:
        wkv = F.layer_norm(wkv, (8,), mix.key_norm.weight, mix.key_norm.bias, 1e-6)
    expected = ended(mix, (r.sigmoid() * wkv) @ mix.output.weight.mT)
    torch.testing.assert_close(mix(tokens, GRID), expected)


@pytest.mark.parametrize('key_norm', [0, 1])
def test_the_channel_mix_is_that_of_the_paper(key_norm):
    mix, tokens = make(ChannelMix, feedforward_channels=12, key_norm=key_norm)
    k = (between(tokens, mix.mix_key) @ mix.key.weight.mT).relu() ** 2
    if key_norm:
        k = F.layer_norm(k, (12,), mix.key_norm.weight, mix.key_norm.bias, 1e-6)
    r = between(tokens, mix.mix_receptance) @ mix.receptance.weight.mT
    expected = ended(mix, r.sigmoid() * (k @ mix.value.weight.mT))
    torch.testing.assert_close(mix(tokens, GRID), expected)


def test_later_layers_take_less_of_the_neighbours_and_look_nearer():
    mixes = []
    for index in range(3):
        mix = SpatialMix(8)
        mix.set_layer(index, 3)
        mixes.append(mix)
    first, *_, last = mixes
    assert (last.mix_key[1:] > first.mix_key[1:]).all()
    assert (last.decay[1:-1] < first.decay[1:-1]).all()
    assert [first.decay[i].item() for i in (0, -1)] == [-5, 3]


def test_initial_values_of_a_layer_come_back():
    mix = SpatialMix(8)
    mix.set_layer(1, 3)
    before = {name: p.clone() for name, p in mix.named_parameters()}
    with torch.no_grad():
        for name in ('decay', 'bonus', 'mix_key', 'mix_value', 'mix_receptance'):
            mix.get_parameter(name).zero_()
    mix.reset_filter()
    assert all(torch.equal(p, before[name]) for name, p in mix.named_parameters())


@pytest.mark.parametrize('arch', ['small', 'base', 'large'])
def test_the_scale_of_branches_begins_at_that_of_the_released_models(arch):
    from mmdefocus.models import VisionRWKV

    with torch.device('meta'):
        block = VisionRWKV(arch).blocks[0]
    sizes = VisionRWKV.archs[arch]
    assert sizes['scale_decades'] == (0 if arch == 'small' else 5)
    assert isinstance(block.mixer.key_norm, torch.nn.LayerNorm) == (arch == 'large')
