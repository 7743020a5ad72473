import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

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


def test_a_rate_of_0_changes_nothing_also_after_another_one():
    layer, x = DropPath(0.5), torch.randn(8, 3)
    layer.rate = 0.0
    assert torch.equal(layer(x), x)


def test_the_rate_is_no_weight():
    assert DropPath(0.5).state_dict() == {}


def test_a_rate_that_changes_every_epoch_compiles_once():
    torch.compiler.reset()
    counter = CompileCounter()
    layers = nn.Sequential(nn.Linear(4, 4), DropPath(0.1))
    compiled = torch.compile(layers, backend=counter)
    for epoch in range(12):
        layers[1].rate = 0.1 + 0.05 * epoch
        compiled(torch.ones(8, 4))
    assert counter.frame_count == 1
