"""Decays between the tokens of a chunk, and the gradient of their logarithms.

A head has one λ, or one for each token; that of token r is how much of the state it keeps. T tokens
of a chunk are asked the same of both kinds. No exponent is positive (derivation in README.md).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..numerics import decay, fade

LEAST_LOG_DECAY = -80.0  # below eps² in float64, too; a sum with -infinity would be lost


class HeadDecays:
    """Decays of a λ for each head.

    Args:
        rates: λ, `(H,)`, in the dtype of the sums.
        length: T.

    Attributes:
        within: The decay from token s to token t, `(H, T, T)`; 1 where s > t. Callers mask these
            places after the products, which also removes a NaN that came from a later token.
    """

    def __init__(self, rates: Tensor, length: int) -> None:
        self.rates = rates[:, None, None]
        self.position = torch.arange(length, device=rates.device, dtype=rates.dtype)
        self.distance = (self.position[:, None] - self.position).clamp_(min=0)
        self.within = decay(self.rates, self.distance)

    def steps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the decays `(H, T, 1)` from the state before and to that after the chunk.

        The third, `(H, 1, 1)`, is that of the whole chunk.
        """
        before, after = self._distances()
        entry = decay(self.rates, before)
        return entry, decay(self.rates, after), entry[:, -1:]

    def within_gradient(self, shares: Tensor) -> Tensor:
        """Returns that of λ, `(H,)`; overwrites the share of each pair, `(B, H, T, T)`."""
        return shares.mul_(self.distance).sum((0, 2, 3))

    def step_gradient(self, reads: Tensor, writes: Tensor) -> Tensor:
        """Returns that of λ, `(H,)`, of what tokens read from states and write, `(B, H, T, K)`."""
        before, after = self._distances()
        return (reads * before + writes * after).sum((0, 2, 3))

    def passing_gradient(self, passed: Tensor) -> Tensor:
        """Returns that of λ, `(H,)`, of what a state passes on, `(B, H, K, V)`."""
        return passed.sum((0, 2, 3)) * len(self.position)

    def _distances(self) -> tuple[Tensor, Tensor]:
        position = self.position.unsqueeze(-1)
        return position + 1, len(self.position) - 1 - position


class TokenDecays:
    """Decays of a λ for each token and head.

    Args:
        rates: λ, `(B, H, T)`, in the dtype of the sums.

    Attributes:
        within: The decay from token s to token t, `(B, H, T, T)`; 1 where s > t.
    """

    def __init__(self, rates: Tensor) -> None:
        self.dtype = rates.dtype
        self.sums = sums_of(rates)
        # a float64 table would take twice the time: of two parts, a difference is rounded as itself
        high = self.sums.to(self.dtype)
        low = (self.sums - high).to(self.dtype)
        between = high.unsqueeze(-1) - high.unsqueeze(-2)
        between.add_(low.unsqueeze(-1)).sub_(low.unsqueeze(-2))
        self.within = fade(between.tril_())

    def steps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns those of `HeadDecays`, `(B, H, T, 1)` twice and `(B, H, 1, 1)`."""
        return steps_of(self.sums, self.dtype)

    def within_gradient(self, shares: Tensor) -> Tensor:
        """Returns that of λ, `(B, H, T)`; overwrites the share of each pair, `(B, H, T, T)`.

        λ of token r has a part in the pairs with s < r <= t.
        """
        from_before = shares.cumsum_(-1)[..., :-1].tril_(-1)
        return F.pad(from_before.sum(-2), (1, 0))

    def step_gradient(self, reads: Tensor, writes: Tensor) -> Tensor:
        """Returns that of λ, `(B, H, T)`, of what tokens read and write, `(B, H, T, K)`."""
        later_reads = reads.sum(-1).flip(-1).cumsum(-1).flip(-1)
        return later_reads + F.pad(writes.sum(-1), (1, -1)).cumsum(-1)

    def passing_gradient(self, passed: Tensor) -> Tensor:
        """Returns that of every λ, `(B, H, 1)`, of what a state passes on, `(B, H, K, V)`."""
        return passed.sum((2, 3)).unsqueeze(-1)


Decays = HeadDecays | TokenDecays


def decays_of(rates: Tensor, length: int) -> Decays:
    """Returns the decays between `length` tokens of λ `(H,)` or `(B, H, length)`."""
    return HeadDecays(rates, length) if rates.dim() == 1 else TokenDecays(rates)


def sums_of(log_decay: Tensor) -> Tensor:
    """Returns the sums of λ up to each token, `(..., T)`, in float64.

    There, a difference of two of them is as exact as λ, also after tokens that forget everything.
    """
    return log_decay.double().clamp(min=LEAST_LOG_DECAY).cumsum(-1)


def steps_of(sums: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what `HeadDecays.steps` tells, of sums `(B, H, T)`."""
    last = F.pad(sums, (1, 0))[..., -1:]  # 0 of no tokens
    parts = (sums, last - sums, last)
    entry, leave, whole = (fade(x.to(dtype)).unsqueeze(-1) for x in parts)
    return entry, leave, whole
