"""The two halves of the learnable bandpass filter (Section 4.1 of the paper).

A causal sum weighted by `exp(λ (t - s)) exp(i θ (t - s))` is a bandpass filter: θ is its centre
frequency and |λ| the width of its pass band (Eq. 7). Decay and rotary embedding are learnable
each, fixed, or absent; the families differ only in where they apply them.
"""

import torch
from torch import Tensor, nn

from mmdefocus.ops import apply_rotary


class LearnableDecay(nn.Module):
    """Decay rates λ = -exp(λ̂) with λ̂ learned (Section 5.1), negative whatever the optimizer does.

    Args:
        rates: Initial |λ|, positive, any shape: `(D, N)` in Mamba, where λ is called A, and
            `(H,)` with a rate per head elsewhere.
        learnable: Whether λ̂ gets a gradient.
    """

    def __init__(self, rates: Tensor, learnable: bool = True) -> None:
        super().__init__()
        self.A_log = nn.Parameter(rates.log(), requires_grad=learnable)

    @torch.no_grad()
    def reset_rates(self, rates: Tensor) -> None:
        """Gives |λ| the values of `rates`, whose shape broadcasts to that of the parameter."""
        self.A_log.copy_(rates.log().expand_as(self.A_log))

    def forward(self) -> Tensor:
        """Returns λ in float32 or wider, in the shape of the initial rates."""
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()


def head_decay_rates(num_heads: int) -> Tensor:
    """Returns the initial |λ| of the heads, `(num_heads,)`, per token.

    RetNet's: head h keeps the share `1 - 2^(-5 - h)` from one token to the next, so that the heads
    look back over some 2^5, 2^6, … tokens.
    """
    exponents = torch.arange(num_heads, dtype=torch.float32) + 5
    return -torch.log1p(-(2.0**-exponents))


def rotary_frequencies(num_freqs: int) -> Tensor:
    """Returns the released initial frequencies, `(num_freqs,)`, in radians per token.

    `(100^(-i/n) - 0.01) / 0.99` for i = 1..n falls from nearly 1 to exactly 0.
    """
    exponents = torch.arange(1, num_freqs + 1, dtype=torch.float32) / num_freqs
    return (100.0**-exponents - 0.01) / 0.99


def pair_frequencies(num_pairs: int) -> Tensor:
    """Returns the usual frequencies of RoPE, `(num_pairs,)`, in radians per token.

    `10000^(-j/n)` for j = 0..n-1 falls from 1 in equal ratios.
    """
    exponents = torch.arange(num_pairs, dtype=torch.float32) / num_pairs
    return 10000.0**-exponents


class LearnableRotary(nn.Module):
    """Rotary position embedding with learned frequencies, one per channel (Eq. 9).

    Args:
        num_freqs: Channels to turn, a frequency each.
        scale: Positions are token indices divided by this number (Appendix B.2).
        learnable: Whether the frequencies get a gradient.
    """

    def __init__(self, num_freqs: int, scale: float = 1.0, learnable: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.freq = nn.Parameter(rotary_frequencies(num_freqs), requires_grad=learnable)

    @torch.no_grad()
    def reset_frequencies(self) -> None:
        """Gives the frequencies their initial values."""
        self.freq.copy_(rotary_frequencies(self.freq.numel()))

    def forward(self, x: Tensor) -> Tensor:
        """Turns `(..., L, N)` by the position of each token."""
        return _turn(x, self.freq, self.scale)

    def extra_repr(self) -> str:
        return f'num_freqs={self.freq.numel()}, scale={self.scale:g}'


class LearnablePairRotary(nn.Module):
    """Rotary position embedding with learned frequencies, one per head and pair (Eq. 4 and 8).

    The two channels of a pair turn by the same angle, so that products of turned queries and keys
    depend on the distance of their tokens alone: "the common implementation of RoPE" (Section
    4.1), whose initial frequencies these are too. A filter is a λ and a θ; because every head has
    a λ of its own (Section 5.1), every head learns its own θ as well.

    Args:
        num_heads: H.
        num_pairs: Half the channels of a head.
        scale: Positions are token indices divided by this number (Appendix B.2).
        learnable: Whether the frequencies get a gradient.
    """

    def __init__(
        self, num_heads: int, num_pairs: int, scale: float = 1.0, learnable: bool = True
    ) -> None:
        super().__init__()
        self.scale = scale
        self.freq = nn.Parameter(torch.empty(num_heads, num_pairs), requires_grad=learnable)
        self.reset_frequencies()

    @torch.no_grad()
    def reset_frequencies(self) -> None:
        """Gives the frequencies their initial values."""
        self.freq.copy_(pair_frequencies(self.freq.shape[1]).expand_as(self.freq))

    def forward(self, x: Tensor) -> Tensor:
        """Turns `(B, H, L, K)` by the position of each token."""
        return _turn(x, self.freq.repeat_interleave(2, dim=-1), self.scale)

    def extra_repr(self) -> str:
        heads, pairs = self.freq.shape
        return f'num_heads={heads}, num_pairs={pairs}, scale={self.scale:g}'


def _turn(x: Tensor, freqs: Tensor, scale: float) -> Tensor:
    positions = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
    return apply_rotary(x, freqs, positions / scale)
