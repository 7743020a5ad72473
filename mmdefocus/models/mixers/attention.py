"""Softmax attention with a learnable bandpass filter in its logits (Eq. 8)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import decayed_attention
from mmdefocus.ops.numerics import decay, wide_dtype, without_autocast
from mmdefocus.utils.checks import check_rate

from ..layers import LEARNABLE_FILTER, Filter
from .filtered_heads import FilteredHeads, HeadInputs


class AttentionState(NamedTuple):
    """What the tokens so far have left; a head h keeps M_h of them, the last.

    Attributes:
        keys: `(B, M_h, K)` of each head, turned by their positions.
        values: `(B, M_h, V)` of each head.
        faded: The sum of the values of all tokens before those, `(B, H, V)`.
        number: How many those were, `(H,)`, in the dtype of `faded`.
        reach: The most tokens that each head keeps; None if all.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    faded: Tensor
    number: Tensor
    reach: tuple[int, ...] | None


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

    def prepare(self, tokens: Tensor, first: Tensor | None = None) -> HeadInputs:
        """Turns `(B, L, C)` into the inputs of the attention, from position `first` or 0 on."""
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        return self.filter_heads(q, k, v, first)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` along L."""
        q, k, v, log_decay = self.prepare(tokens)
        if self.decay is None:  # torch has kernels for this one
            y = _attention(q, k, v, self.causal)
        else:
            y = decayed_attention(q, k, v, log_decay, causal=self.causal)
        return self.proj(self.merge_heads(y))

    def initial_state(self, batch_size: int, forget: float = 0.0) -> AttentionState:
        """Returns the state before the first token, which grows with every token after it.

        A head whose decay is λ < 0 multiplies the logit of a token at distance d by `exp(λ d)`. It
        keeps the `ceil(log(forget) / λ)` last tokens; of those before, whose logits are at most
        `forget` times what they were, it keeps the sum of the values alone, as if their logits
        were 0. With a the largest absolute logit without decay, and δ = exp(forget * a) - 1, that
        moves the output of a head by at most `2 δ / (1 - δ)` times the largest norm of a value.

        Args:
            batch_size: B.
            forget: From 0, which keeps all tokens, to less than 1.

        Raises:
            ValueError: If the attention is not causal or `forget` is out of its range.
        """
        if not self.causal:
            raise ValueError(
                'causal=False lets tokens attend to later ones, so the model cannot go on strip by '
                'strip: use causal=True'
            )
        check_rate('forget', forget)
        reach, weight = None, self.qkv.weight
        if forget and self.decay is not None:
            rates = self.log_decay(weight).detach()
            reach = tuple((math.log(forget) / rates).ceil().long().tolist())
        width = weight.shape[1] // self.num_heads
        empty = (weight.new_zeros(batch_size, 0, width),) * self.num_heads
        faded = weight.new_zeros(batch_size, self.num_heads, width, dtype=wide_dtype(weight.dtype))
        return AttentionState(empty, empty, faded, faded.new_zeros(self.num_heads), reach)

    def advance(
        self, tokens: Tensor, state: AttentionState, first: Tensor
    ) -> tuple[Tensor, AttentionState]:
        """Mixes `(B, L, C)` after the tokens that a state has seen, see `Mixer.advance`."""
        q, k, v, log_decay = self.prepare(tokens, first)
        keys, values, outputs = list(state.keys), list(state.values), []
        faded, number = list(state.faded.unbind(1)), list(state.number.unbind())
        for h in range(self.num_heads):
            keys[h] = torch.cat((keys[h], k[:, h]), dim=1)
            values[h] = torch.cat((values[h], v[:, h]), dim=1)
            outputs.append(_attend(q[:, h], keys[h], values[h], log_decay[h], faded[h], number[h]))
            if state.reach is not None and keys[h].shape[1] > state.reach[h]:
                over = keys[h].shape[1] - state.reach[h]
                faded[h] = faded[h] + values[h][:, :over].to(faded[h].dtype).sum(1)
                number[h] = number[h] + over
                keys[h], values[h] = keys[h][:, over:].clone(), values[h][:, over:].clone()
        after = AttentionState(
            *(tuple(keys), tuple(values), torch.stack(faded, 1), torch.stack(number), state.reach)
        )
        return self.proj(self.merge_heads(torch.stack(outputs, dim=1))), after


@without_autocast
def _attention(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """The attention of ViT of `(B, H, L, K)`, by a kernel of torch.

    The backward of torch's kernel for bfloat16 takes up to five times as long on a CPU as that for
    float32.
    """
    dtype = wide_dtype(v.dtype) if v.requires_grad and v.device.type == 'cpu' else v.dtype
    y = F.scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype), is_causal=causal)
    return y.to(v.dtype)


@without_autocast
def _attend(q: Tensor, k: Tensor, v: Tensor, rate: Tensor, faded: Tensor, number: Tensor) -> Tensor:
    """Attends with the last tokens of one head to all of them, and to those that have faded.

    Args:
        q: Queries of the last L tokens, `(B, L, K)`.
        k: `(B, M, K)`, M >= L.
        v: `(B, M, V)`.
        rate: λ, `()`.
        faded: The sum of the values of the tokens before those, `(B, V)`.
        number: How many those were, `()`.

    Returns:
        `(B, L, V)` in the dtype of `v`.
    """
    dtype, length, seen = faded.dtype, q.shape[1], k.shape[1]
    own = torch.arange(seen - length, seen, device=q.device, dtype=dtype).unsqueeze(-1)
    distance = own - torch.arange(seen, device=q.device, dtype=dtype)
    logits = q.to(dtype) @ k.to(dtype).mT * q.shape[-1] ** -0.5
    logits = logits * decay(rate.to(dtype), distance.clamp(min=0))
    logits = logits.masked_fill(distance < 0, -math.inf)
    of_faded = number.log().expand(*logits.shape[:2], 1)  # so many tokens with a logit of 0
    weights = torch.cat((logits, of_faded), dim=-1).softmax(-1)
    mean = (faded / number.clamp(min=1)).unsqueeze(1)
    return (weights @ torch.cat((v.to(dtype), mean), dim=1)).to(v.dtype)
