"""Softmax attention with a learnable bandpass filter in its logits (Eq. 8)."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import decayed_attention

from ..layers import LEARNABLE_FILTER, Filter
from .filtered_heads import FilteredHeads, HeadInputs


class AttentionMixer(FilteredHeads):
    """Multi-head attention whose logits decay with the distance and turn with the position.

    As in ViT: one projection to queries, keys and values with a bias, logits divided by the square
    root of the width of a head, one projection of the heads' outputs. Without decay and rotary
    embedding it is the attention of ViT.

    Args:
        embed_dims: C, channels of a token.
        num_heads: H, divides C.
        causal: Whether a token attends to those before it and to itself alone, or to all; the
            decay of later tokens is that of earlier ones at the same distance.
        filter: See `FilteredHeads`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        causal: bool = True,
        filter: Filter = LEARNABLE_FILTER,
    ) -> None:
        super().__init__(embed_dims, num_heads, filter)
        self.causal = causal
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        for linear in (self.qkv, self.proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def prepare(self, tokens: Tensor) -> HeadInputs:
        """Turns `(B, L, C)` into the inputs of the attention."""
        return self.filter_heads(*self.qkv(tokens).chunk(3, dim=-1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` along L."""
        q, k, v, log_decay = self.prepare(tokens)
        if self.decay is None:  # torch has kernels for this one
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            y = decayed_attention(q, k, v, log_decay, causal=self.causal)
        return self.proj(self.merge_heads(y))
