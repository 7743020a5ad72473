"""The Mamba-2 mixer of a sequence that its average heads (Adventurer)."""

import torch
from torch import Tensor

from ..layers import Grid, GridMixer
from .mamba2 import Mamba2Mixer


class HeadedMamba2Mixer(GridMixer, Mamba2Mixer):
    """`Mamba2Mixer` on tokens with their average before the first, in the direction of the layer.

    The average is of all tokens as they come here, normalised and CLS among them, as released. It
    is gone after the mixer. Every other layer reads the patches from the last to the first, CLS
    last in all. That is the design of the paper; the released code does so in the third and the
    fourth layer alone.
    """

    backwards = False

    def set_layer(self, index: int, depth: int) -> None:
        """Chooses the direction of layer `index`, counted from 0."""
        self.backwards = index % 2 == 1

    # a mixer on a grid is told where the tokens lie
    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:  # type: ignore[override]
        """Mixes `(B, H * W + 1, C)`, CLS at the end; every token sees all."""
        tokens = self._turned(tokens)
        headed = torch.cat((tokens.mean(1, keepdim=True), tokens), 1)
        return self._turned(Mamba2Mixer.forward(self, headed)[:, 1:])

    def _turned(self, tokens: Tensor) -> Tensor:
        if not self.backwards:
            return tokens
        return torch.cat((tokens[:, :-1].flip(1), tokens[:, -1:]), 1)
