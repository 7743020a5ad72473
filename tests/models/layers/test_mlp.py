import torch

from mmdefocus.models.layers import MLP


def test_tokens_do_not_mix():
    mlp = MLP(4, 16)
    tokens = torch.randn(2, 5, 4)
    torch.testing.assert_close(mlp(tokens)[:, 3], mlp(tokens[:, 3]))
