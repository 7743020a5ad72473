"""Bidirectional WKV as it is defined, with a weight for every pair of tokens."""

import torch
from torch import Tensor

from ..numerics import wide_dtype


def naive_bi_wkv(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """See `bi_wkv`. Holds all weights, `(B, L, L, C)`."""
    dtype = wide_dtype(torch.promote_types(k.dtype, v.dtype))
    places = torch.arange(k.shape[1], device=k.device)
    distance = (places.unsqueeze(-1) - places).abs().unsqueeze(-1)  # (L, L, 1)
    bias = torch.where(distance == 0, u.to(dtype), -w.to(dtype) * (distance - 1))
    weights = (k.to(dtype).unsqueeze(1) + bias).softmax(2)
    return (weights * v.to(dtype).unsqueeze(1)).sum(2).to(v.dtype)
