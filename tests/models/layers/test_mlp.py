import pytest
import torch
import torch.nn.functional as F

from mmdefocus.models.layers import MLP, SwiGLU


@pytest.mark.parametrize('kind', [MLP, SwiGLU])
def test_tokens_do_not_mix(kind):
    mlp = kind(4, 16)
    tokens = torch.randn(2, 5, 4)
    torch.testing.assert_close(mlp(tokens)[:, 3], mlp(tokens[:, 3]))


def test_swiglu_weights_values_by_the_swish_of_their_gates():
    mlp, tokens = SwiGLU(4, 3), torch.randn(2, 5, 4)
    torch.nn.init.normal_(mlp.gated.bias)
    torch.nn.init.normal_(mlp.out.bias)
    halves = zip(mlp.gated.weight.chunk(2), mlp.gated.bias.chunk(2), strict=True)
    gate, value = (tokens @ weight.T + bias for weight, bias in halves)
    expected = (F.silu(gate) * value) @ mlp.out.weight.T + mlp.out.bias
    torch.testing.assert_close(mlp(tokens), expected)
