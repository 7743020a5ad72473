"""The Mamba-2 mixer of a sequence that the image as a whole heads (Adventurer)."""

from torch import Tensor

from ..layers import Grid, GridMixer
from .mamba2 import Mamba2Mixer


class HeadedMamba2Mixer(GridMixer, Mamba2Mixer):
    """`Mamba2Mixer`; its first token comes from all of the image, so that there is no state."""

    # a mixer on a grid is told where the tokens lie
    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:  # type: ignore[override]
        """Mixes `(B, 1 + H * W + 1, C)`, the head of the image, its patches and CLS."""
        return Mamba2Mixer.forward(self, tokens)
