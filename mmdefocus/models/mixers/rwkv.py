"""The two mixes of Vision-RWKV (arXiv 2403.02308): of tokens in space, and of channels."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import bi_wkv
from mmdefocus.utils.checks import check_multiple

from ..layers import LEARNABLE_DECAY, Filter, Grid, GridMixer, OnGrid


def quad_shift(tokens: Tensor, grid: Grid) -> Tensor:
    """Gives each quarter of the channels of `(B, H * W, C)` the values of another neighbour.

    In the order of the quarters they are those of the patch to the left, to the right, above and
    below; beyond the edges they are 0. C is a multiple of 4.
    """
    left, right, above, below = grid.to_map(tokens).chunk(4, dim=1)
    shifted = (
        F.pad(left, (1, 0))[..., :-1],
        F.pad(right, (0, 1))[..., 1:],
        F.pad(above, (0, 0, 1, 0))[..., :-1, :],
        F.pad(below, (0, 0, 0, 1))[..., 1:, :],
    )
    return grid.to_tokens(torch.cat(shifted, dim=1))


def _mix(shifted: Tensor, tokens: Tensor, share: Tensor) -> Tensor:
    """Returns tokens of which each channel has a share, and the neighbour the rest."""
    return shifted.lerp(tokens, share.to(tokens.dtype))


class ScaledNorm(nn.Module):
    """The end of a branch: layer normalisation, and a scale for each channel (layer scale).

    Args:
        embed_dims: C, channels of a token.
        decades: n; the scale begins at 10^-n.
    """

    def __init__(self, embed_dims: int, decades: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.scale = nn.Parameter(torch.full((embed_dims,), 10.0**-decades))

    def forward(self, tokens: Tensor) -> Tensor:
        """Takes and returns `(B, L, C)`."""
        return self.norm(tokens) * self.scale


def _shares(embed_dims: int, number: int) -> Iterator[nn.Parameter]:
    return (nn.Parameter(torch.empty(embed_dims)) for _ in range(number))


def _linear(in_channels: int, out_channels: int) -> nn.Linear:
    layer = nn.Linear(in_channels, out_channels, bias=False)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    return layer


def _norm(channels: int, wanted: int) -> nn.Module:
    return nn.LayerNorm(channels, eps=1e-6) if wanted else nn.Identity()


class SpatialMix(GridMixer):
    """Bidirectional WKV of shifted tokens, gated by their receptance.

    The decay is divided by the number of tokens L, as in the paper, so that a model fits images of
    any size: `rope_scale` and `delta_scale` have nothing to scale. The released code divides the
    bonus of a token itself by L as well.

    Args:
        embed_dims: C, channels of a token, a multiple of 4.
        filter: A learnable decay without rotary embedding; there is no other.
        key_norm: 1 to normalise the output of WKV (VRWKV-L), 0 not to.
        scale_decades: See `ScaledNorm`.

    Raises:
        ValueError: If C is no multiple of 4, or the filter another.
    """

    decays = ('learnable',)
    ropes = ('none',)

    def __init__(
        self,
        embed_dims: int,
        filter: Filter = LEARNABLE_DECAY,
        key_norm: int = 0,
        scale_decades: int = 0,
    ) -> None:
        super().__init__(filter)
        check_multiple('embed_dims', embed_dims, 4)
        self.key, self.value = _linear(embed_dims, embed_dims), _linear(embed_dims, embed_dims)
        self.receptance = _linear(embed_dims, embed_dims)
        self.key_norm = _norm(embed_dims, key_norm)
        self.output = _linear(embed_dims, embed_dims)
        self.scaled_norm = ScaledNorm(embed_dims, scale_decades)
        self.decay = nn.Parameter(torch.empty(embed_dims))
        self.bonus = nn.Parameter(torch.empty(embed_dims))
        self.mix_key, self.mix_value, self.mix_receptance = _shares(embed_dims, 3)
        self.set_layer(0, 1)

    def set_layer(self, index: int, depth: int) -> None:
        """Gives decay, bonus and mixes the initial values of layer `index` of `depth`."""
        self.layer = index, depth
        self.reset_filter()

    @torch.no_grad()
    def reset_filter(self) -> None:
        """Gives decay, bonus and mixes their initial values, those of RWKV-4.

        Decays rise from -5 to 3 with the channel, in later layers later. Early layers take more of
        the neighbours than late ones.
        """
        channels = torch.arange(len(self.decay), dtype=torch.float32)
        index, depth = self.layer
        through = index / max(1, depth - 1)  # from 0 to 1
        rise = (channels / max(1, len(channels) - 1)) ** (0.7 + 1.3 * through)
        self.decay.copy_(8 * rise - 5)
        self.bonus.copy_(math.log(0.3) + 0.5 * ((channels + 1) % 3 - 1))
        share = (channels / len(channels)) ** (1 - index / depth)
        self.mix_key.copy_(share)
        self.mix_value.copy_(share + 0.3 * through)
        self.mix_receptance.copy_(share.sqrt())

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Mixes `(B, H * W, C)`; every token sees all."""
        shifted = quad_shift(tokens, grid)
        k = self.key(_mix(shifted, tokens, self.mix_key))
        v = self.value(_mix(shifted, tokens, self.mix_value))
        gate = self.receptance(_mix(shifted, tokens, self.mix_receptance)).sigmoid()
        y = bi_wkv(k, v, self.decay / tokens.shape[1], self.bonus)
        return self.scaled_norm(self.output(self.key_norm(y) * gate))


class ChannelMix(OnGrid, nn.Module):
    """The feed-forward network: squared ReLU of shifted tokens, gated by their receptance.

    Args:
        embed_dims: C, channels of a token, a multiple of 4.
        feedforward_channels: Channels between the two linear layers.
        key_norm: See `SpatialMix`, here of what is between.
        scale_decades: See `ScaledNorm`.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        key_norm: int = 0,
        scale_decades: int = 0,
    ) -> None:
        super().__init__()
        self.key = _linear(embed_dims, feedforward_channels)
        self.key_norm = _norm(feedforward_channels, key_norm)
        self.value = _linear(feedforward_channels, embed_dims)
        self.receptance = _linear(embed_dims, embed_dims)
        self.scaled_norm = ScaledNorm(embed_dims, scale_decades)
        self.mix_key, self.mix_receptance = _shares(embed_dims, 2)
        self.set_layer(0, 1)

    @torch.no_grad()
    def set_layer(self, index: int, depth: int) -> None:
        """Gives the mixes the initial values of layer `index` of `depth`, see `SpatialMix`."""
        channels = torch.arange(len(self.mix_key), dtype=torch.float32)
        for mix in (self.mix_key, self.mix_receptance):
            mix.copy_((channels / len(channels)) ** (1 - index / depth))

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Takes and returns `(B, H * W, C)`."""
        shifted = quad_shift(tokens, grid)
        between = F.relu(self.key(_mix(shifted, tokens, self.mix_key))).square()
        gate = self.receptance(_mix(shifted, tokens, self.mix_receptance)).sigmoid()
        return self.scaled_norm(self.value(self.key_norm(between)) * gate)
