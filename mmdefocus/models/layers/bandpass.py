"""The learnable bandpass filter of every family (Section 4.1 of the paper).

A causal sum weighted by `exp(λ (t - s)) exp(i θ (t - s))` is a bandpass filter: θ is its centre
frequency and |λ| the width of its pass band (Eq. 7). λ is the decay, θ the rotary embedding. The
families differ only in where they apply the two.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmdefocus.ops import apply_rotary
from mmdefocus.utils.checks import check_choice, check_positive

DECAYS = ('data_dependent', 'learnable', 'fixed', 'none')
ROPES = ('learnable', 'fixed', 'none')


@dataclass(frozen=True)
class Filter:
    """Settings of the bandpass filter, the same in all blocks of a model (Table 4a).

    Attributes:
        decay: Where λ comes from: 'data_dependent', from the token (Mamba and Mamba-2);
            'learnable', a parameter; 'fixed', its initial value; 'none', no decay.
        rope: Where θ comes from: 'learnable', 'fixed' or 'none'.
        rope_scale: Divides the token positions at another resolution (Appendix B.2).
        delta_scale: Divides λ, in Mamba the time steps Δ, at another resolution (Appendix B.2).

    Raises:
        ValueError: If a setting is out of its range; the message names it.
    """

    decay: str = 'learnable'
    rope: str = 'learnable'
    rope_scale: float = 1.0
    delta_scale: float = 1.0

    def __post_init__(self) -> None:
        check_choice('decay', self.decay, DECAYS)
        check_choice('rope', self.rope, ROPES)
        check_positive('rope_scale', self.rope_scale)
        check_positive('delta_scale', self.delta_scale)

    def check_pairs(self, name: str, number: int) -> None:
        """Raises a ValueError if a number of states cannot form the pairs of the rotary embedding.

        Args:
            name: Of the number, as the user knows it.
            number: Of states, or of the channels of a head.
        """
        if number % 2 and self.rope != 'none':
            raise ValueError(
                f'{name}: expected an even number, to form the pairs of the rotary embedding, '
                f'got {number}'
            )

    def make_decay(self, rates: Tensor) -> 'LearnableDecay | None':
        """Returns the decay with initial rates |λ| of any shape; None for 'none'."""
        return None if self.decay == 'none' else LearnableDecay(rates, self.decay != 'fixed')

    def make_rotary(self, freqs: Tensor, paired: bool = False) -> 'LearnableRotary | None':
        """Returns the rotary embedding with initial frequencies θ; None for 'none'."""
        if self.rope == 'none':
            return None
        return LearnableRotary(freqs, self.rope_scale, self.rope == 'learnable', paired)


LEARNABLE_FILTER = Filter()
DATA_DEPENDENT_FILTER = Filter(decay='data_dependent')
LEARNABLE_DECAY = Filter(rope='none')


class LearnableDecay(nn.Module):
    """Learned decay rates λ = -exp(λ̂) (Section 5.1), which no step of an optimizer makes positive.

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

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters that weight decay would pull to |λ| = 1."""
        return {'A_log'}

    def forward(self) -> Tensor:
        """Returns λ in float32 or wider, in the shape of the initial rates."""
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()


class LearnableRotary(nn.Module):
    """Rotary position embedding with learned frequencies.

    Args:
        freqs: Initial θ in radians per token: `(N,)`, one per channel (Eq. 9), or `(H, K / 2)`,
            one per head and pair of channels (Eq. 4 and 8).
        scale: Positions are token indices divided by this number (Appendix B.2).
        learnable: Whether the frequencies get a gradient.
        paired: Whether the two channels of a pair share a frequency. They then turn by the same
            angle, so that products of turned queries and keys depend on the distance of their
            tokens alone: "the common implementation of RoPE" (Section 4.1). Because every head
            has a λ of its own (Section 5.1), every head learns its own θ as well.
    """

    def __init__(
        self, freqs: Tensor, scale: float = 1.0, learnable: bool = True, paired: bool = False
    ) -> None:
        super().__init__()
        self.scale = scale
        self.paired = paired
        self.freq = nn.Parameter(freqs.clone(), requires_grad=learnable)

    @torch.no_grad()
    def reset_frequencies(self, freqs: Tensor) -> None:
        """Gives θ the values of `freqs`, whose shape broadcasts to that of the parameter."""
        self.freq.copy_(freqs.expand_as(self.freq))

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters that weight decay would pull to θ = 0."""
        return {'freq'}

    def forward(self, x: Tensor, first: Tensor | None = None) -> Tensor:
        """Turns `(..., L, N)`, or `(B, H, L, K)` in pairs, by the position of each token.

        The position of the first is `first`, `()`, or 0. Positions are exact below 2²⁴ tokens.
        """
        freqs = self.freq.repeat_interleave(2, dim=-1) if self.paired else self.freq
        positions = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
        if first is not None:
            positions = positions + first
        return apply_rotary(x, freqs, positions / self.scale)

    def extra_repr(self) -> str:
        return f'freqs={tuple(self.freq.shape)}, scale={self.scale:g}, paired={self.paired}'


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
