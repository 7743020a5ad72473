"""Stochastic depth, with one decision per image."""

from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops the residual branches of random images, at a rate that may change during training.

    The branches that stay are scaled by 1 / (1 - rate), so that the expectation is unchanged.

    Args:
        rate: Probability of dropping, in [0, 1).
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Takes and returns `(B, ...)`."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(keep).div_(keep)
        return x * mask

    def extra_repr(self) -> str:
        return f'rate={self.rate:g}'
