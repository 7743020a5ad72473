"""The order in which a backbone reads the patches of an image."""

from typing import NamedTuple, Protocol

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
        return grid.permute(0, 2, 3, 1).flatten(1, 2)  # a copy, if any, has its channels together

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


class Grid(NamedTuple):
    """The grid of patches that a sequence was read from.

    Attributes:
        order: The order in which it was read.
        height: Patches in a column.
        width: Patches in a row.
    """

    order: TokenOrder
    height: int
    width: int

    def to_map(self, tokens: Tensor) -> Tensor:
        """Turns `(B, H * W, C)` into `(B, C, H, W)`."""
        return self.order.to_grid(tokens, self.height, self.width)

    def to_tokens(self, image: Tensor) -> Tensor:
        """Turns `(B, C, H, W)` into `(B, H * W, C)`."""
        return self.order.to_sequence(image)

    def transpose(self, tokens: Tensor) -> tuple[Tensor, 'Grid']:
        """Returns the tokens of the transposed image, `(B, W * H, C)`, and its grid."""
        image = self.to_map(tokens).transpose(2, 3)
        return self.to_tokens(image), Grid(self.order, self.width, self.height)
