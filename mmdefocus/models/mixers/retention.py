"""Retention with a learnable bandpass filter (Eq. 4)."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import retention, retention_with_state
from mmdefocus.ops.numerics import wide_dtype
from mmdefocus.utils.checks import check_divides

from ..layers import LEARNABLE_FILTER, Filter
from .filtered_heads import FilteredHeads, HeadInputs

NORM_EPS = 1e-6


class RetentionState(NamedTuple):
    """What the tokens so far have left.

    Attributes:
        memory: `(B, H, K, V)`, see `mmdefocus.ops.retention_with_state`.
    """

    memory: Tensor


class RetentionMixer(FilteredHeads):
    """Multi-scale retention between linear projections.

    As in RetNet: no biases, keys divided by the square root of their width, group normalisation
    with a group per head (without weights: the output projection can scale as well), times the
    swish of a gate.

    Args:
        embed_dims: C, channels of a token, of its queries and of its keys.
        num_heads: H, divides C.
        value_channels: Channels of the values and of the gate of a token; H divides them.
        filter: See `FilteredHeads`. RetNet's decay and rotary embedding are 'fixed'.

    Raises:
        ValueError: If H does not divide the channels, or see `FilteredHeads`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        value_channels: int,
        filter: Filter = LEARNABLE_FILTER,
    ) -> None:
        super().__init__(embed_dims, num_heads, filter)
        check_divides('num_heads', num_heads, 'value_channels', value_channels)
        self.q_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.k_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.v_proj = nn.Linear(embed_dims, value_channels, bias=False)
        self.g_proj = nn.Linear(embed_dims, value_channels, bias=False)
        self.out_proj = nn.Linear(value_channels, embed_dims, bias=False)
        for linear in (self.q_proj, self.k_proj, self.v_proj, self.g_proj, self.out_proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)

    def prepare(self, tokens: Tensor, first: Tensor | None = None) -> HeadInputs:
        """Turns `(B, L, C)` into the inputs of the retention, from position `first` or 0 on."""
        x = self.filter_heads(self.q_proj(tokens), self.k_proj(tokens), self.v_proj(tokens), first)
        return x._replace(k=x.k * x.k.shape[-1] ** -0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` causally along L."""
        return self._gated(retention(*self.prepare(tokens)), tokens)

    def initial_state(self, batch_size: int, forget: float = 0.0) -> RetentionState:
        """Returns the state before the first token; its size is fixed, so nothing is forgotten."""
        weight = self.v_proj.weight
        values, keys = (len(w) // self.num_heads for w in (weight, self.k_proj.weight))
        shape = batch_size, self.num_heads, keys, values
        return RetentionState(weight.new_zeros(shape, dtype=wide_dtype(weight.dtype)))

    def advance(
        self, tokens: Tensor, state: RetentionState, first: Tensor
    ) -> tuple[Tensor, RetentionState]:
        """Mixes `(B, L, C)` after the tokens that a state has seen, see `Mixer.advance`."""
        y, memory = retention_with_state(*self.prepare(tokens, first), state.memory)
        return self._gated(y, tokens), RetentionState(memory)

    def _gated(self, y: Tensor, tokens: Tensor) -> Tensor:
        y = self.merge_heads(F.layer_norm(y, y.shape[-1:], eps=NORM_EPS))
        return self.out_proj(y * F.silu(self.g_proj(tokens)))
