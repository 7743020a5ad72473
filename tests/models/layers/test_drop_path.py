import torch

from mmdefocus.models.layers import DropPath


def test_nothing_is_dropped_in_evaluation():
    x = torch.ones(8, 3)
    assert torch.equal(DropPath(0.9).eval()(x), x)


def test_whole_images_are_dropped_and_the_expectation_kept():
    torch.manual_seed(0)
    y = DropPath(0.75)(torch.ones(4000, 3, 2))
    assert torch.equal(y.amax((1, 2)), y.amin((1, 2)))
    assert set(y.unique().tolist()) == {0.0, 4.0}
    assert abs(y.mean().item() - 1.0) < 0.1
