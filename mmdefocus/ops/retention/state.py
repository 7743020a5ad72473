"""Retention from a state to a state, of whatever backend: it is linear in the state."""

import torch
from torch import Tensor

from ..numerics import decay, wide_dtype, without_autocast


@without_autocast
def read_state(y: Tensor, q: Tensor, log_decay: Tensor, state: Tensor) -> Tensor:
    """Adds to y what the tokens read from the state before them: `exp(λ (t + 1)) S_0ᵀ q_t`.

    Args:
        y: What they read from each other, `(B, H, L, V)`.
        q: `(B, H, L, K)`.
        log_decay: `(H,)`.
        state: S_0, `(B, H, K, V)`, in the dtype of the sums.
    """
    entry = _decays(log_decay, q.shape[2] + 1, state.dtype)[:, 1:]
    return (y.to(state.dtype) + (q.to(state.dtype) * entry) @ state).to(y.dtype)


@without_autocast
def final_state(k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None) -> Tensor:
    """Returns `exp(λ L) S_0 + Σ_s exp(λ (L - 1 - s)) k_s v_sᵀ`, `(B, H, K, V)`.

    Args:
        k: `(B, H, L, K)`.
        v: `(B, H, L, V)`.
        log_decay: `(H,)`.
        state: S_0, `(B, H, K, V)`, in the dtype of the sums; None is 0.
    """
    dtype = wide_dtype(v.dtype)
    decays = _decays(log_decay, k.shape[2] + 1, dtype).flip(1)
    final = (k.to(dtype) * decays[:, 1:]).mT @ v.to(dtype)
    return final if state is None else decays[:, :1] * state + final


def _decays(log_decay: Tensor, number: int, dtype: torch.dtype) -> Tensor:
    """Returns the decays of the distances 0, 1, …, `(H, number, 1)`."""
    distance = torch.arange(number, device=log_decay.device, dtype=dtype).unsqueeze(-1)
    return decay(log_decay.to(dtype)[:, None, None], distance)
