import pytest
import torch

from mmdefocus.ops import causal_conv1d


@pytest.mark.parametrize(('length', 'width'), [(1, 4), (3, 4), (17, 4), (9, 1), (9, 3)])
def test_equals_torch_conv1d_in_values_and_gradients(length, width):
    conv = torch.nn.Conv1d(6, 6, width, groups=6, padding=width - 1, dtype=torch.float64)
    x = torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True)
    dy = torch.randn(2, length, 6, dtype=torch.float64)
    inputs = (x, conv.weight, conv.bias)
    expected = conv(x.mT)[..., :length].mT
    expected_grads = torch.autograd.grad(expected, inputs, dy)
    y = causal_conv1d(x, conv.weight.squeeze(1), conv.bias)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(torch.autograd.grad(y, inputs, dy), expected_grads)


def test_future_tokens_do_not_matter():
    x, weight, bias = torch.randn(1, 10, 4), torch.randn(4, 4), torch.randn(4)
    changed = x.clone()
    changed[:, 6] += 1
    y, z = causal_conv1d(x, weight, bias), causal_conv1d(changed, weight, bias)
    assert torch.equal(y[:, :6], z[:, :6])
    assert not torch.equal(y[:, 6:], z[:, 6:])


def test_a_weight_of_other_channels_is_an_error():
    with pytest.raises(ValueError, match=r'expected \(4, K\)'):
        causal_conv1d(torch.randn(1, 3, 4), torch.randn(5, 4), torch.randn(5))
