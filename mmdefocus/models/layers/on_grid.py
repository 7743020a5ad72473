"""What reads tokens as an image: it is told where they lie."""

from typing import Any, NoReturn

from torch import Tensor

from .mixer import Mixer


class OnGrid:
    """Marks a part of a block whose `forward(tokens, grid)` gets the grid of the tokens as well.

    The tokens are those of the image, `(B, H * W, C)`, and CLS after them in models that have it.
    """

    def set_layer(self, index: int, depth: int) -> None:
        """Tells the part that it is in layer `index` of `depth`, counted from 0."""


class GridMixer(OnGrid, Mixer):
    """Base of the mixers that see the whole image at once, in `forward(tokens, grid)`."""

    def initial_state(self, batch_size: int, forget: float = 0.0) -> NoReturn:
        """Raises a ValueError: what a token becomes depends on later ones."""
        raise ValueError(
            f'{type(self).__name__} reads the image in several directions, so it cannot go on '
            'strip by strip: use a causal model such as DefocusMamba'
        )

    def advance(self, tokens: Tensor, state: Any, first: Tensor) -> NoReturn:
        """Raises a ValueError, as `initial_state`."""
        self.initial_state(len(tokens))
