"""Decayed attention as it is written down; the reference for every other backend."""

import torch
from torch import Tensor

from ..numerics import wide_dtype, without_autocast


@without_autocast
def naive_decayed_attention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> Tensor:
    """See `decayed_attention`. All logits at once, differentiated by autograd."""
    dtype = wide_dtype(v.dtype)
    position = torch.arange(q.shape[2], device=q.device, dtype=dtype)
    distance = position[:, None] - position
    decay = torch.exp(log_decay.to(dtype)[:, None, None] * distance.abs())
    logits = decay * (q.to(dtype) @ k.to(dtype).mT) * q.shape[-1] ** -0.5
    if causal:
        logits = logits.masked_fill(distance < 0, float('-inf'))
    return (logits.softmax(-1) @ v.to(dtype)).to(v.dtype)
