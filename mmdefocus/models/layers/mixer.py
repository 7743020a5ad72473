"""What every mixer has in common."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmdefocus.utils.checks import check_choice

from .bandpass import ROPES, Filter


class Mixer(nn.Module, ABC):
    """Mixes the tokens of `(B, L, C)` along L, in `forward(tokens)`.

    Args:
        filter: The bandpass filter with which it does so.

    Attributes:
        decays: The decays of `Filter` that this kind of mixer has, its usual one first.
        ropes: Likewise the rotary embeddings.

    Raises:
        ValueError: If this kind of mixer lacks the decay or the rotary embedding.
    """

    decays: ClassVar[tuple[str, ...]]
    ropes: ClassVar[tuple[str, ...]] = ROPES

    def __init__(self, filter: Filter) -> None:
        super().__init__()
        check_choice('decay', filter.decay, self.decays)
        check_choice('rope', filter.rope, self.ropes)

    @abstractmethod
    def reset_filter(self) -> None:
        """Gives the parameters of the filter their initial values."""

    @abstractmethod
    def initial_state(self, batch_size: int, forget: float = 0.0) -> Any:
        """Returns the state before the first token, a named tuple of tensors.

        Args:
            batch_size: B.
            forget: What the decay has made smaller than this may be summed up; only attention keeps
                tokens of which this is so.

        Raises:
            ValueError: If the mixer does not read from the first token to the last.
        """

    @abstractmethod
    def advance(self, tokens: Tensor, state: Any, first: Tensor) -> tuple[Tensor, Any]:
        """Mixes `(B, L, C)` after the tokens that a state has seen.

        Args:
            tokens: `(B, L, C)`, any L.
            state: What `initial_state` or an earlier `advance` returned; it stays as it is.
            first: Position of the first of the tokens, `()`, int64.

        Returns:
            The mixed tokens, `(B, L, C)`, and the state after them.
        """

    def mix_strips(self, tokens: Tensor, strips: int) -> Tensor:
        """Mixes a sequence strip by strip, and after each strip a token that reads it out.

        What reads out goes on a copy of the state, so that no other token sees it.

        Args:
            tokens: `(B, L + S, C)`: the sequence, in S strips of equal length, and S tokens that
                read out, the first of them after the first strip.
            strips: S.

        Returns:
            The mixed tokens, `(B, L + S, C)`, in the same order.
        """
        length = tokens.shape[1] - strips
        pieces, readers = tokens[:, :length].chunk(strips, 1), tokens[:, length:].split(1, 1)
        firsts = torch.arange(0, length + 1, length // strips, device=tokens.device)
        state, mixed, read = self.initial_state(len(tokens)), [], []
        for piece, reader, first, end in zip(pieces, readers, firsts, firsts[1:], strict=False):
            y, state = self.advance(piece, state, first)
            mixed.append(y)
            read.append(self.advance(reader, state, end)[0])
        return torch.cat((*mixed, *read), dim=1)
