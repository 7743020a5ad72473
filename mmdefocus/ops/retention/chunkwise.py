"""Retention in chunks: dense inside a chunk, a `(K, V)` state from one chunk to the next.

Time and memory are linear in the length. The states between chunks are kept; the backward goes
from the last chunk to the first and computes the rest again (derivation in README.md).
"""

import torch
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import wide_dtype, without_autocast
from .decays import decays_of
from .parallel import dense_retention, dense_retention_backward, sum_shared

CHUNK = 128


def chunkwise_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`."""
    y, _ = _retention(q, k, v, log_decay)
    return y


def _chunks(length: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def _along(rates: Tensor, chunk: slice) -> Tensor:
    """Returns those of a chunk, where every token has its own; else those of all tokens."""
    return rates if rates.dim() == 1 else rates[:, :, chunk]


def _outputs(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    batch, heads, length, value_width = v.shape
    shape = (len(_chunks(length)), batch, heads, q.shape[3], value_width)
    return torch.empty_like(v), v.new_empty(shape, dtype=wide_dtype(v.dtype))


@without_autocast
def _forward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and the states before the chunks, `(chunks, B, H, K, V)`."""
    y, states = _outputs(q, k, v, log_decay)
    rates = log_decay.to(states.dtype)
    state = states.new_zeros(states.shape[1:])
    for index, chunk in enumerate(_chunks(q.shape[2])):
        states[index] = state
        q_c, k_c, v_c = (x[:, :, chunk].to(states.dtype) for x in (q, k, v))
        decays = decays_of(_along(rates, chunk), q_c.shape[2])
        entry, leave, whole = decays.steps()
        y[:, :, chunk] = dense_retention(q_c, k_c, v_c, decays) + (q_c * entry) @ state
        state = whole * state + (k_c * leave).mT @ v_c
    return y, states


@without_autocast
def _backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, states: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    rates = log_decay.to(states.dtype)
    dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
    drates = torch.zeros_like(rates)
    carry = states.new_zeros(states.shape[1:])  # gradient that later chunks send to the state
    for state, chunk in reversed(list(zip(states, _chunks(q.shape[2]), strict=True))):
        q_c, k_c, v_c, dy_c = (x[:, :, chunk].to(states.dtype) for x in (q, k, v, dy))
        decays = decays_of(_along(rates, chunk), q_c.shape[2])
        entry, leave, whole = decays.steps()
        dq_c, dk_c, dv_c, within = dense_retention_backward(q_c, k_c, v_c, decays, dy_c)

        dq_state = (dy_c @ state.mT).mul_(entry)
        dk_state = (v_c @ carry.mT).mul_(leave)
        dq[:, :, chunk] = dq_c + sum_shared(dq_state, q)
        dk[:, :, chunk] = dk_c + sum_shared(dk_state, k)
        dv[:, :, chunk] = dv_c + (k_c * leave) @ carry

        drates_c = _along(drates, chunk)
        drates_c += within + decays.step_gradient(q_c * dq_state, k_c * dk_state)
        drates_c += decays.passing_gradient(state * carry * whole)
        carry = whole * carry + (q_c * entry).mT @ dy_c
    return dq, dk, dv, drates.to(log_decay.dtype, copy=True)


_retention = custom_operator('retention_chunkwise', _forward, _backward, _outputs, kept=1)
