"""What every mixer has in common."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from mmdefocus.utils.checks import check_choice

from .bandpass import Filter


class Mixer(nn.Module, ABC):
    """Mixes the tokens of `(B, L, C)` along L, in `forward(tokens)`.

    Args:
        filter: The bandpass filter with which it does so.

    Attributes:
        decays: The decays of `Filter` that this kind of mixer has, its usual one first.

    Raises:
        ValueError: If this kind of mixer lacks the decay.
    """

    decays: ClassVar[tuple[str, ...]]

    def __init__(self, filter: Filter) -> None:
        super().__init__()
        check_choice('decay', filter.decay, self.decays)

    @abstractmethod
    def reset_filter(self) -> None:
        """Gives the parameters of the filter their initial values."""
