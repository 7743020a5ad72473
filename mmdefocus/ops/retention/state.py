"""Retention from a state to a state, of whatever backend: it is linear in the state."""

import torch
from torch import Tensor

from ..numerics import decay, wide_dtype, without_autocast
from .decays import steps_of, sums_of


@without_autocast
def read_state(y: Tensor, q: Tensor, log_decay: Tensor, state: Tensor) -> Tensor:
    """Adds to y what the tokens read from the state before them, faded up to each.

    Args:
        y: What they read from each other, `(B, H, L, V)`.
        q: `(B, H, L, K)`.
        log_decay: `(H,)` or `(B, H, L)`.
        state: S_0, `(B, H, K, V)`, in the dtype of the sums.
    """
    entry, _, _ = _steps(log_decay, q.shape[2], state.dtype)
    return (y.to(state.dtype) + (q.to(state.dtype) * entry) @ state).to(y.dtype)


@without_autocast
def final_state(k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None) -> Tensor:
    """Returns the state after the tokens, `(B, H, K, V)`: what S_0 and each token leave in it.

    Args:
        k: `(B, H, L, K)`.
        v: `(B, H, L, V)`.
        log_decay: `(H,)` or `(B, H, L)`.
        state: S_0, `(B, H, K, V)`, in the dtype of the sums; None is 0.
    """
    dtype = wide_dtype(v.dtype)
    _, leave, whole = _steps(log_decay, k.shape[2], dtype)
    final = (k.to(dtype) * leave).mT @ v.to(dtype)
    return final if state is None else whole * state + final


def _steps(log_decay: Tensor, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the decays from S_0 to each token and from it to the end, and that of them all."""
    if log_decay.dim() == 3:
        return steps_of(sums_of(log_decay.to(dtype)), dtype)
    distance = torch.arange(length + 1, device=log_decay.device, dtype=dtype).unsqueeze(-1)
    decays = decay(log_decay.to(dtype)[:, None, None], distance)  # (H, L + 1, 1)
    backwards = decays.flip(1)
    return decays[:, 1:], backwards[:, 1:], backwards[:, :1]
