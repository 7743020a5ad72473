import pytest
import torch

from mmdefocus.models import SimpleFPN


def test_default_strides_are_a_quarter_to_twice_the_patch():
    levels = SimpleFPN(16, 8)((torch.randn(2, 16, 7, 5),))
    assert [tuple(x.shape) for x in levels] == [
        (2, 8, 28, 20),
        (2, 8, 14, 10),
        (2, 8, 7, 5),
        (2, 8, 3, 2),
    ]


@pytest.mark.parametrize('sides', [(1, 1), (1, 9), (5, 1)])
def test_sides_of_a_level_are_at_least_1(sides):
    for level in SimpleFPN(16, 8, num_outs=6)((torch.randn(1, 16, *sides),)):
        assert min(level.shape) >= 1


def test_convolutions_begin_as_those_of_the_released_neck():
    torch.manual_seed(0)
    neck = SimpleFPN(768, 256)
    for convs, std in ((neck.lateral_convs, (2 / 256) ** 0.5), (neck.fpn_convs, (2 / 2304) ** 0.5)):
        for layer in convs:
            assert layer.conv.weight.std().item() == pytest.approx(std, rel=0.02)


def test_levels_beyond_the_scales_halve_the_last():
    levels = SimpleFPN(16, 8, scales=(2, 1), num_outs=4)((torch.randn(1, 16, 8, 8),))
    assert [x.shape[-1] for x in levels] == [16, 8, 4, 2]
    assert torch.equal(levels[2], levels[1][..., ::2, ::2])


def test_every_parameter_gets_a_gradient():
    neck = SimpleFPN(16, 8)
    sum(level.square().sum() for level in neck((torch.randn(1, 16, 4, 4),))).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r'scales: expected numbers out of .* got 3'):
        SimpleFPN(16, 8, scales=(3, 1))
    with pytest.raises(ValueError, match='num_outs: expected 4 or more, as scales, got 2'):
        SimpleFPN(16, 8, num_outs=2)
