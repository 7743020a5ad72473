"""The Mamba mixer that reads in the direction of its layer (Mamba-ND, arXiv 2402.05892)."""

from torch import Tensor

from ..layers import Grid, GridMixer
from .mamba import MambaMixer

DIRECTIONS = ('H+', 'H-', 'W+', 'W-')


class DirectedMambaMixer(GridMixer, MambaMixer):
    """`MambaMixer` on the tokens in another order, which depends on the layer.

    'H+' is the order of the sequence, 'W+' that of the transposed image: column after column where
    the other goes row after row. 'H-' and 'W-' begin at the last token.

    Attributes:
        direction: One of `DIRECTIONS`, which alternate from layer to layer.
    """

    direction = DIRECTIONS[0]

    def set_layer(self, index: int, depth: int) -> None:
        """Chooses the direction of layer `index`, counted from 0."""
        self.direction = DIRECTIONS[index % len(DIRECTIONS)]

    # a mixer on a grid is told where the tokens lie
    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:  # type: ignore[override]
        """Mixes `(B, H * W, C)` along the direction, causally in that order."""
        in_columns, backwards = self.direction[0] == 'W', self.direction[1] == '-'
        if in_columns:
            tokens, grid = grid.transpose(tokens)
        if backwards:
            tokens = tokens.flip(1)
        tokens = MambaMixer.forward(self, tokens)
        if backwards:
            tokens = tokens.flip(1)
        return grid.transpose(tokens)[0] if in_columns else tokens
