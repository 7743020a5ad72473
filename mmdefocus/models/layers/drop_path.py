"""Stochastic depth, with one decision per image."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops the residual branches of random images, at a rate that may change during training.

    The branches that stay are scaled by 1 / (1 - rate), so that the expectation is unchanged. The
    compiled code of a model stays valid when the rate changes: it reads the rate from a tensor.
    Only the first rate above 0 makes it compile anew.

    Args:
        rate: Probability of dropping, in [0, 1).

    Attributes:
        keep: 1 - rate, of shape `()`; no part of the state dict.
        drops: Whether the rate has ever been above 0.
    """

    keep: Tensor

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.register_buffer('keep', torch.ones(()), persistent=False)
        self.drops = False
        self.rate = rate

    @property
    def rate(self) -> float:
        """Probability of dropping, which can be set."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self.drops = self.drops or rate > 0
        self.keep.fill_(1.0 - rate)

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns `(B, ...)`."""
        if not self.training or not self.drops:
            return x
        chance = torch.rand((len(x),) + (1,) * (x.dim() - 1), device=x.device)
        return x * ((chance < self.keep) / self.keep).to(x.dtype)

    def extra_repr(self) -> str:
        return f'rate={self.rate:g}'
