"""The feed-forward networks of blocks."""

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear, GELU, linear on every token.

    Args:
        embed_dims: C, channels of a token.
        feedforward_channels: Channels between the two linear layers.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, feedforward_channels)
        self.fc2 = nn.Linear(feedforward_channels, embed_dims)
        for linear in (self.fc1, self.fc2):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Takes and returns `(B, L, C)`."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class SwiGLU(nn.Module):
    """Linear layers to a gate and to what it gates, SiLU of the gate, linear (arXiv 2002.05202).

    Args:
        embed_dims: C, channels of a token.
        feedforward_channels: Channels between.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int) -> None:
        super().__init__()
        self.gated = nn.Linear(embed_dims, 2 * feedforward_channels)
        self.out = nn.Linear(feedforward_channels, embed_dims)
        for linear in (self.gated, self.out):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Takes and returns `(B, L, C)`."""
        gate, value = self.gated(tokens).chunk(2, dim=-1)
        return self.out(F.silu(gate) * value)
