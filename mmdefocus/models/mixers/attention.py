"""Softmax attention with a learnable bandpass filter in its logits (Eq. 8)."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import decayed_attention

from .filtered_heads import FilteredHeads


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
        decay: See `FilteredHeads`, as all arguments that follow.
        rope: 'learnable', 'fixed' or 'none'.
        rope_scale: Divides the positions.
        delta_scale: Divides λ.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        causal: bool = True,
        decay: str = 'learnable',
        rope: str = 'learnable',
        rope_scale: float = 1.0,
        delta_scale: float = 1.0,
    ) -> None:
        super().__init__(embed_dims, num_heads, decay, rope, rope_scale, delta_scale)
        self.causal = causal
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        for linear in (self.qkv, self.proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` along L."""
        q, k, v = map(self.split_heads, self.qkv(tokens).chunk(3, dim=-1))
        q, k = self.turn(q), self.turn(k)
        if self.decay is None:  # torch has kernels for this one
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            y = decayed_attention(q, k, v, self.log_decay(q), causal=self.causal)
        return self.proj(self.merge_heads(y))
