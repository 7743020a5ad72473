"""The bandpass filters of a mixer: centre frequencies, bandwidths, responses (Eq. 7)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.mixers import MambaMixer
from ...models.mixers.filtered_heads import FilteredHeads

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Filters(NamedTuple):
    """The filters of a mixer, G heads or, in Mamba, N states.

    Attributes:
        frequencies: Centre frequencies |θ| in radians a token, `(G, F)`, F of them in a filter
            bank: the pairs of channels of a head, or 1 of a state. 0 without rotary embedding.
        bandwidths: Quantiles of |λ| a token, `(5, G)`, at 5, 25, 50, 75 and 95 % of all tokens and
            channels. They are all alike where λ does not depend on the data. 0 without decay.
    """

    frequencies: Tensor
    bandwidths: Tensor


@torch.no_grad()
def filters_of(mixer: nn.Module, tokens: Tensor) -> Filters:
    """Reads the filters of a mixer.

    Args:
        mixer: A mixer of this package.
        tokens: What it reads, `(B, L, C)`; in Mamba the bandwidths depend on it.

    Raises:
        ValueError: If it is another mixer.
    """
    if isinstance(mixer, FilteredHeads):
        rates = mixer.log_decay(tokens).abs()
        frequencies = tokens.new_zeros(mixer.num_heads, 1)
        if mixer.rope is not None:
            frequencies = mixer.rope.freq.detach().abs() / mixer.rope.scale
        return Filters(frequencies, rates.expand(len(QUANTILES), -1))
    if not isinstance(mixer, MambaMixer):
        raise ValueError(f'mixer: expected a mixer of mmdefocus, got {type(mixer).__name__}')
    frequencies = tokens.new_zeros(mixer.state_size, 1)
    if mixer.rope is not None:
        frequencies = mixer.rope.freq.detach().abs().unsqueeze(-1) / mixer.rope.scale
    u, _ = mixer.in_proj(tokens).chunk(2, dim=-1)
    inputs = mixer.prepare(u)
    delta = inputs.delta if inputs.delta_bias is None else inputs.delta + inputs.delta_bias
    steps = F.softplus(delta) if inputs.delta_softplus else delta
    per_state = [(steps * rate.abs()).flatten() for rate in inputs.A.unbind(-1)]
    levels = torch.tensor(QUANTILES, dtype=steps.dtype, device=steps.device)
    return Filters(frequencies, torch.stack([_quantiles(x, levels) for x in per_state], dim=-1))


def response(frequency: Tensor, bandwidth: Tensor, omega: Tensor) -> Tensor:
    """Returns how strongly a filter passes the frequency ω (Eq. 7): `1 / √(λ² + (ω - θ)²)`.

    Args:
        frequency: θ, radians a token.
        bandwidth: |λ|, positive; broadcast against θ and ω.
        omega: ω, radians a token.
    """
    return torch.rsqrt(bandwidth**2 + (omega - frequency) ** 2)


def _quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """As `torch.quantile`, which refuses more than 2^24 values, by the nearest value."""
    ordered = values.sort().values
    return ordered[(levels * (len(ordered) - 1)).round().long()]
