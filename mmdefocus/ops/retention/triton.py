"""Retention in chunks in Triton for GPUs, any length and widths (derivation in README.md).

Two passes each way: one carries the `(K, V)` states over the chunks, a block of the state a
program, from the first to the last or, for their gradients, back; the other does the rest for all
chunks at once. Products of 16-bit inputs are exact, see `exact_dot`; those with a float32 number
are tf32, and those of float32 inputs three products of tf32 parts. Sums are float32, or
float64 for float64 values.
"""

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_by_token, wide_dtype
from ..triton_support import cdiv, products_of
from .decays import sums_of
from .triton_kernels import carry_states, mix_chunks, query_key_gradients

CHUNK = 64
BLOCK = 64  # the most channels of q, k, v in a program
BLOCK_BACKWARD = 32  # of q and k, where their gradients stay in registers


def triton_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`."""
    dtype = wide_dtype(v.dtype)
    q, k = (x.expand(-1, v.shape[1], -1, -1) for x in (q, k))  # where the heads share them
    y, _ = _retention(q, k, v, log_decay.to(dtype).contiguous())
    return y


def _outputs(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    return empty_by_token(v), _states(q, v, log_decay)


def _forward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and the states before the chunks, `(B, H, chunks, K, V)`."""
    states, decays = _states(k, v, log_decay), _decays(log_decay)
    _carry(k, v, decays, states, reverse=False)
    return _mixed(q, k, v, decays, states, reverse=False), states


def _backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, states: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    batch, heads, chunks, width, value_width = states.shape
    dstates, decays = torch.empty_like(states), _decays(log_decay)
    _carry(q, dy, decays, dstates, reverse=True)
    dv = _mixed(k, q, dy, decays, dstates, reverse=True).to(v.dtype)
    dq, dk = empty_by_token(q), empty_by_token(k)
    blocks = _blocks(q, BLOCK_BACKWARD)
    drates = log_decay.new_empty(batch, chunks, blocks['number'], heads, *decays.shape[3:])
    with torch.cuda.device_of(q):
        query_key_gradients[chunks, blocks['number'], batch * heads](
            *(q, k, v, decays, dy, states, dstates, dq, dk, drates),
            *(heads, q.shape[2], width, value_width, chunks),
            *(s for x in (q, k, v, dy, dq, dk) for s in x.stride()),
            CHUNK=CHUNK,
            BLOCK_K=blocks['size'],
            BLOCK_V=_blocks(v)['size'],
            TOKENS=log_decay.dim() == 3,
            **(products_of(q, k, v) | {'num_warps': 8, 'num_stages': 2}),
        )
    if log_decay.dim() == 1:
        return dq, dk, dv, drates.sum((0, 1, 2))
    dlog_decay = drates.sum(2).permute(0, 2, 1, 3).flatten(2)  # (B, H, chunks * CHUNK)
    return dq, dk, dv, dlog_decay[..., : log_decay.shape[2]].contiguous()


_retention = custom_operator(
    'retention_triton', _forward, _backward, _outputs, kept=1, empty=empty_by_token
)


def _decays(log_decay: Tensor) -> Tensor:
    """Returns λ of the heads, or the sums of those of tokens, `(B, H, chunks, CHUNK)`, float64."""
    if log_decay.dim() == 1:
        return log_decay
    chunks = cdiv(log_decay.shape[2], CHUNK)
    padded = F.pad(log_decay, (0, chunks * CHUNK - log_decay.shape[2]))
    return sums_of(padded.unflatten(2, (chunks, CHUNK)))


def _carry(k: Tensor, v: Tensor, decays: Tensor, states: Tensor, reverse: bool) -> None:
    """Writes the states before the chunks or, of q and dy in reverse, the gradients after."""
    batch, heads, chunks, width, value_width = states.shape
    rows, columns = _blocks(k), _blocks(v)
    with torch.cuda.device_of(k):
        carry_states[rows['number'], columns['number'], batch * heads](
            *(k, v, decays, states, heads, k.shape[2], width, value_width, chunks),
            *(s for x in (k, v) for s in x.stride()),
            CHUNK=CHUNK,
            BLOCK_K=rows['size'],
            BLOCK_V=columns['size'],
            REVERSE=reverse,
            TOKENS=decays.dim() > 1,
            **products_of(k, v),
        )


def _mixed(
    q: Tensor, k: Tensor, v: Tensor, decays: Tensor, states: Tensor, reverse: bool
) -> Tensor:
    """Returns y or, of k, q and dy in reverse, the gradient of v; in the dtype of `v`."""
    _, heads, chunks, width, value_width = states.shape
    columns = _blocks(v)
    y = empty_by_token(v)
    with torch.cuda.device_of(q):
        mix_chunks[chunks, columns['number'], v.shape[0] * heads](
            *(q, k, v, decays, states, y, heads, q.shape[2], width, value_width, chunks),
            *(s for x in (q, k, v, y) for s in x.stride()),
            CHUNK=CHUNK,
            BLOCK_K=_blocks(q)['size'],
            BLOCK_V=columns['size'],
            REVERSE=reverse,
            TOKENS=decays.dim() > 1,
            **products_of(q, k, v),
        )
    return y


def _states(k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    batch, heads, length, width = k.shape
    return log_decay.new_empty(batch, heads, cdiv(length, CHUNK), width, v.shape[3])


def _blocks(x: Tensor, most: int = BLOCK) -> dict[str, int]:
    width = x.shape[-1]
    size = max(16, min(most * 2 // x.dtype.itemsize, triton.next_power_of_2(width)))
    return {'size': size, 'number': cdiv(width, size)}
