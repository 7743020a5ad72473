"""The block of every family."""

from typing import Any

from torch import Tensor, nn

from .drop_path import DropPath
from .mixer import Mixer
from .on_grid import OnGrid
from .token_order import Grid


class Block(nn.Module):
    """`x + drop_path(mixer(norm(x)))`, then the same with `mlp_norm` and `mlp` if given.

    Args:
        norm: Normalises `(B, L, C)` for the mixer.
        mixer: Mixes the tokens of `(B, L, C)`.
        mlp_norm: Normalises `(B, L, C)` for the MLP.
        mlp: Takes and returns `(B, L, C)`, token by token; None for a block without.
    """

    def __init__(
        self,
        norm: nn.Module,
        mixer: Mixer,
        mlp_norm: nn.Module | None = None,
        mlp: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.mixer = mixer
        self.drop_path = DropPath()
        self.mlp_norm = mlp_norm
        self.mlp = mlp

    def forward(
        self, tokens: Tensor, grid: Grid | None = None, strips: int | None = None
    ) -> Tensor:
        """Takes and returns `(B, L, C)`.

        Parts that are `OnGrid` need their grid; with `strips`, tokens are mixed as by
        `Mixer.mix_strips`.
        """
        normed = self.norm(tokens)
        if strips is None:
            mixed = _run(self.mixer, normed, grid)
        else:
            mixed = self.mixer.mix_strips(normed, strips)
        return self._add_mlp(tokens + self.drop_path(mixed), grid)

    def advance(self, tokens: Tensor, state: Any, first: Tensor) -> tuple[Tensor, Any]:
        """Takes and returns `(B, L, C)` and the state of the mixer, see `Mixer.advance`."""
        mixed, state = self.mixer.advance(self.norm(tokens), state, first)
        return self._add_mlp(tokens + self.drop_path(mixed)), state

    def _add_mlp(self, tokens: Tensor, grid: Grid | None = None) -> Tensor:
        if self.mlp_norm is not None and self.mlp is not None:
            tokens = tokens + self.drop_path(_run(self.mlp, self.mlp_norm(tokens), grid))
        return tokens


def _run(part: nn.Module, tokens: Tensor, grid: Grid | None) -> Tensor:
    return part(tokens, grid) if isinstance(part, OnGrid) else part(tokens)
