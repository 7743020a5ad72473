"""Retention with a learnable bandpass filter (Eq. 4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import retention

from .filtered_heads import FilteredHeads

NORM_EPS = 1e-6


class RetentionMixer(FilteredHeads):
    """Multi-scale retention between linear projections.

    As in RetNet: no biases, keys divided by the square root of their width, group normalisation
    with a group per head (without weights: the output projection can scale as well), times the
    swish of a gate.

    Args:
        embed_dims: C, channels of a token, of its queries and of its keys.
        num_heads: H, divides C.
        value_channels: Channels of the values and of the gate of a token; H divides them.
        decay: See `FilteredHeads`, as all arguments that follow. RetNet's is 'fixed'.
        rope: 'learnable', 'fixed' or 'none'. RetNet's is 'fixed'.
        rope_scale: Divides the positions.
        delta_scale: Divides λ.

    Raises:
        ValueError: If H does not divide the channels.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        value_channels: int,
        decay: str = 'learnable',
        rope: str = 'learnable',
        rope_scale: float = 1.0,
        delta_scale: float = 1.0,
    ) -> None:
        super().__init__(embed_dims, num_heads, decay, rope, rope_scale, delta_scale)
        if value_channels % num_heads:
            raise ValueError(
                f'num_heads: {num_heads} does not divide value_channels {value_channels}'
            )
        self.q_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.k_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.v_proj = nn.Linear(embed_dims, value_channels, bias=False)
        self.g_proj = nn.Linear(embed_dims, value_channels, bias=False)
        self.out_proj = nn.Linear(value_channels, embed_dims, bias=False)
        for linear in (self.q_proj, self.k_proj, self.v_proj, self.g_proj, self.out_proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` causally along L."""
        q, k, v = (
            self.split_heads(project(tokens)) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = self.turn(q), self.turn(k) * k.shape[-1] ** -0.5
        y = retention(q, k, v, self.log_decay(q))
        y = self.merge_heads(F.layer_norm(y, y.shape[-1:], eps=NORM_EPS))
        return self.out_proj(y * F.silu(self.g_proj(tokens)))
