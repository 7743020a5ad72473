import torch

from mmdefocus.models.layers import LN2d


def test_ln2d_normalises_the_channels_of_every_pixel():
    norm = LN2d(8)
    y = norm(torch.randn(2, 8, 3, 5))
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 3, 5), atol=1e-4, rtol=0)
