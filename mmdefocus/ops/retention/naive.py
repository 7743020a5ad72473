"""Retention as a recurrence; the reference for every other backend."""

import torch
from torch import Tensor

from ..numerics import wide_dtype


def naive_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`. One token after the other, differentiated by autograd.

    The state `S_t = exp(λ_t) S_{t-1} + k_t v_tᵀ`, `(B, H, K, V)`, is read by `y_t = S_tᵀ q_t`.
    """
    dtype = wide_dtype(v.dtype)
    decays = torch.exp(log_decay.to(dtype))[..., None, None]
    state = v.new_zeros(*v.shape[:2], q.shape[-1], v.shape[-1], dtype=dtype)
    outputs = [v[:, :, :0].to(dtype)]  # of no tokens, where there are none
    for t in range(v.shape[2]):
        q_t, k_t, v_t = (x[:, :, t].to(dtype) for x in (q, k, v))
        decay = decays if log_decay.dim() == 1 else decays[:, :, t]
        state = decay * state + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
        outputs.append((q_t.unsqueeze(-1) * state).sum(-2, keepdim=True))
    return torch.cat(outputs, dim=2).to(v.dtype)
