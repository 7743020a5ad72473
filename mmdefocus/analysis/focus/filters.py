"""The bandpass filters of a mixer: centre frequencies, bandwidths, responses (Eq. 7)."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.mixers import BidirectionalMambaMixer, Mamba2Mixer, MambaMixer
from ...models.mixers.filtered_heads import FilteredHeads
from ...models.mixers.mamba import ScanInputs
from .layers import layer_inputs, layers_of, measured
from .mixing import scans_of

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_TOKENS = 2048  # whose bandwidths are looked at, spread evenly over all


class Filters(NamedTuple):
    """The filters of a mixer, G heads or, in Mamba, N states of each direction.

    Attributes:
        frequencies: Centre frequencies |θ| in radians a token, `(G, F)`, F of them in a filter
            bank: the pairs of channels of a head, or 1 of a state. 0 without rotary embedding.
        bandwidths: Quantiles of |λ| a token, `(5, G)`, at 5, 25, 50, 75 and 95 % of all tokens and
            channels. They are all alike where λ does not depend on the data. 0 without decay.
    """

    frequencies: Tensor
    bandwidths: Tensor


class LayerFilters(NamedTuple):
    """The filters of a layer before and after training, the bandwidths on the same images."""

    layer: int
    before: Filters
    after: Filters


@torch.no_grad()
def filters_of(mixer: nn.Module, tokens: Tensor) -> Filters:
    """Reads the filters of a mixer.

    Args:
        mixer: A mixer of this package.
        tokens: What it reads, `(B, L, C)`; in Mamba and Mamba-2 the bandwidths depend on it.

    Raises:
        ValueError: If it is another mixer.
    """
    if isinstance(mixer, FilteredHeads):
        rates = mixer.log_decay(tokens).abs()
        frequencies = tokens.new_zeros(mixer.num_heads, 1)
        if mixer.rope is not None:
            frequencies = mixer.rope.freq.detach().abs() / mixer.rope.scale
        return Filters(frequencies, rates.expand(len(QUANTILES), -1))
    if isinstance(mixer, Mamba2Mixer):
        return Filters(_frequencies(mixer).expand(mixer.num_heads, -1), _head_widths(mixer, tokens))
    if not isinstance(mixer, MambaMixer):
        raise ValueError(f'mixer: expected a mixer of mmdefocus, got {type(mixer).__name__}')
    directions = [mixer, mixer.reverse] if isinstance(mixer, BidirectionalMambaMixer) else [mixer]
    frequencies = torch.cat([_frequencies(direction) for direction in directions])
    bandwidths = torch.cat([_bandwidths(scan) for scan in scans_of(mixer, tokens)], dim=-1)
    return Filters(frequencies.unsqueeze(-1), bandwidths)


def layer_filters(model: nn.Module, images: Iterable[Tensor], layer: int) -> Filters | None:
    """Reads the filters of a layer, as they are on some images.

    Args:
        model: See `receptive_field`.
        images: Batches, `(B, 3, H, W)` each, normalised as the model expects them.
        layer: From 1.

    Returns:
        The filters; None for a mixer without any, such as that of DeiT or a scan without states.

    Raises:
        ValueError: See `receptive_field`.
    """
    layers = layers_of(model)
    mixer, norm = layers.mixer_of(layer), layers.norm_of(layer)
    if not isinstance(mixer, (FilteredHeads, Mamba2Mixer, MambaMixer)):
        return None
    if isinstance(mixer, MambaMixer) and not mixer.state_size:
        return None
    with torch.no_grad():
        tokens = torch.cat([layer_inputs(model, batch, layer) for batch in images])
        with measured(model):
            return filters_of(mixer, norm(tokens))


def _frequencies(mixer: Mamba2Mixer | MambaMixer) -> Tensor:
    """Returns |θ| of the states, `(N,)`; in Mamba-2 of their pairs."""
    if mixer.rope is None:
        return mixer.D.new_zeros(mixer.state_size)
    return mixer.rope.freq.detach().abs() / mixer.rope.scale


def _head_widths(mixer: Mamba2Mixer, tokens: Tensor) -> Tensor:
    """Returns the quantiles of |λ| over tokens, `(5, H)`."""
    rates = mixer.prepare(tokens).log_decay.abs()
    if rates.dim() == 1:
        return rates.expand(len(QUANTILES), -1)
    levels = torch.tensor(QUANTILES, dtype=rates.dtype, device=rates.device)
    per_head = rates.transpose(0, 1).flatten(1)
    return torch.stack([_quantiles(x, levels) for x in per_head], dim=-1)


def _bandwidths(scan: ScanInputs) -> Tensor:
    """Returns the quantiles of |Δ A| over tokens and channels, `(5, N)`."""
    delta = scan.delta.flatten(0, 1)
    delta = delta[:: -(-len(delta) // MOST_TOKENS)]
    if scan.delta_bias is not None:
        delta = delta + scan.delta_bias
    steps = F.softplus(delta) if scan.delta_softplus else delta
    levels = torch.tensor(QUANTILES, dtype=steps.dtype, device=steps.device)
    per_state = [(steps * rate.abs()).flatten() for rate in scan.A.unbind(-1)]
    return torch.stack([_quantiles(x, levels) for x in per_state], dim=-1)


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
