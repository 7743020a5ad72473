"""Decayed attention as it is written down; the reference for every other backend."""

import math

import torch
from torch import Tensor

from ..numerics import wide_dtype, without_autocast


def naive_decayed_attention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> Tensor:
    """See `decayed_attention`.

    Where it is causal, NaN and infinity are taken out and NaN is put back last: products with them
    would spoil the tokens before, too, in the output or in the gradients.
    """
    if not causal:
        return dense_decayed_attention(q, k, v, log_decay, causal)
    of_q, of_k, of_v = (~x.isfinite() for x in (q, k, v))
    q, k, v = (x.masked_fill(bad, 0) for x, bad in ((q, of_q), (k, of_k), (v, of_v)))
    y = dense_decayed_attention(q, k, v, log_decay, causal)
    spoiled = of_q.any(-1, keepdim=True) | ((of_k.any(-1, keepdim=True) | of_v).cumsum(2) > 0)
    return y + torch.zeros_like(y).masked_fill_(spoiled, math.nan)


@without_autocast
def dense_decayed_attention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> Tensor:
    """Computes it with all logits at once, differentiated by autograd."""
    dtype = wide_dtype(v.dtype)
    position = torch.arange(q.shape[2], device=q.device, dtype=dtype)
    distance = position[:, None] - position
    decay = torch.exp(log_decay.to(dtype)[:, None, None] * distance.abs())
    logits = decay * (q.to(dtype) @ k.to(dtype).mT) * q.shape[-1] ** -0.5
    if causal:
        logits = logits.masked_fill(distance < 0, float('-inf'))
    return (logits.softmax(-1) @ v.to(dtype)).to(v.dtype)
