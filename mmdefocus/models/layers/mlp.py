"""The feed-forward network of a block."""

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
