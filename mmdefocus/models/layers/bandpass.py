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

    def forward(self) -> Tensor:
        """Returns λ in float32 or wider, in the shape of the initial rates."""
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()


def rotary_frequencies(num_freqs: int) -> Tensor:
    """Returns the released initial frequencies, `(num_freqs,)`, in radians per token.

    `(100^(-i/n) - 0.01) / 0.99` for i = 1..n falls from nearly 1 to exactly 0.
    """
    exponents = torch.arange(1, num_freqs + 1, dtype=torch.float32) / num_freqs
    return (100.0**-exponents - 0.01) / 0.99


class LearnableRotary(nn.Module):
    """Rotary position embedding with learned frequencies (Eq. 9).

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
        positions = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
        return apply_rotary(x, self.freq, positions / self.scale)

    def extra_repr(self) -> str:
        return f'num_freqs={self.freq.numel()}, scale={self.scale:g}'
