"""Norms that torch lacks as modules, or computes slowly on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import rms_norm
from mmdefocus.registry import MODELS


@MODELS.register_module()
class LN2d(nn.Module):
    """Layer normalisation over the channels of a `(B, C, H, W)` map.

    Args:
        num_features: C.
        eps: Added to the variance.
    """

    def __init__(self, num_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns `(B, C, H, W)`."""
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class RMSNorm(nn.RMSNorm):
    """`torch.nn.RMSNorm` over the channels of tokens, computed by `mmdefocus.ops.rms_norm`.

    Args:
        num_features: C.
        eps: Added to the mean square.
    """

    eps: float

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns `(B, L, C)`."""
        return rms_norm(x, self.weight, self.eps)
