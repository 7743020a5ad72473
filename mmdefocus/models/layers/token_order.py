"""The order in which a backbone reads the patches of an image."""

from typing import Protocol

from torch import Tensor


class TokenOrder(Protocol):
    """A one-to-one map between the cells of a patch grid and the places of a sequence."""

    def to_sequence(self, grid: Tensor) -> Tensor:
        """Turns `(B, C, H, W)` into `(B, H * W, C)`."""

    def to_grid(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Turns `(B, H * W, C)` back into `(B, C, H, W)`."""


class RasterOrder:
    """Row after row, from left to right."""

    def to_sequence(self, grid: Tensor) -> Tensor:
        return grid.flatten(2).transpose(1, 2)

    def to_grid(self, tokens: Tensor, height: int, width: int) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, (height, width))


class SectionOrder:
    """Section after section: a long sequence made of pieces like those of pre-training (Fig. 7).

    The grid is cut into square sections; inside a section, and from section to section, the order
    is raster.

    Args:
        section: Side of a section in patches; must divide the sides of the grid.
    """

    def __init__(self, section: int) -> None:
        self.section = section

    def to_sequence(self, grid: Tensor) -> Tensor:
        cells = grid.unflatten(3, (-1, self.section)).unflatten(2, (-1, self.section))
        return cells.permute(0, 2, 4, 3, 5, 1).flatten(1, 4)

    def to_grid(self, tokens: Tensor, height: int, width: int) -> Tensor:
        side = self.section
        cells = tokens.unflatten(1, (height // side, width // side, side, side))
        return cells.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
