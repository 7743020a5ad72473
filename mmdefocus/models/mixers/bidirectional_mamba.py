"""The Mamba mixer that reads in both directions (Vision Mamba, arXiv 2401.09417)."""

from typing import Any

import torch
from torch import Tensor

from .mamba import MambaMixer, MambaState


class BidirectionalMambaMixer(MambaMixer):
    """The sum of a scan from the first token to the last and one from the last to the first.

    Both share the projections; convolution, time steps and filter are their own. The CLS token
    comes last, as in the causal mixer, but is read in the middle of the patches.

    Args:
        settings: Those of `MambaMixer`, for both directions.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.reverse = MambaMixer(**settings)
        del self.reverse.in_proj, self.reverse.out_proj

    def reset_filter(self) -> None:
        """Resets the filters of both directions, see `MambaMixer.reset_filter`."""
        super().reset_filter()
        if hasattr(self, 'reverse'):  # not yet when MambaMixer initialises itself
            self.reverse.reset_filter()

    def initial_state(self, batch_size: int, forget: float = 0.0) -> MambaState:
        """Raises a ValueError: the scan that begins at the last token needs all of them."""
        raise ValueError(
            'BidirectionalMamba reads the image from both ends, so it cannot go on strip by strip: '
            'use a causal model such as DefocusMamba'
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` in both directions."""
        middle = tokens.shape[1] // 2
        patches, cls_token = tokens[:, :-1], tokens[:, -1:]
        tokens = torch.cat((patches[:, :middle], cls_token, patches[:, middle:]), dim=1)
        u, z = self.in_proj(tokens).chunk(2, dim=-1)
        y = self.scan(u, z) + self.reverse.scan(u.flip(1), z.flip(1)).flip(1)
        y = torch.cat((y[:, :middle], y[:, middle + 1 :], y[:, middle : middle + 1]), dim=1)
        return self.out_proj(y)
