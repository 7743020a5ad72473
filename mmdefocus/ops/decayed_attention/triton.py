"""Decayed attention in Triton for GPUs: no logits in memory (derivation in README.md).

The blocks of `blocks.py`, a block of queries a program; in the backward a second kernel takes a
block of keys a program, so that every gradient is summed in one place. Products of 16-bit inputs
are exact, see `exact_dot`; those with a float32 number are tf32, and those of float32 inputs three
products of tf32 parts.
"""

import torch
import triton
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_by_token, wide_dtype
from ..triton_support import cdiv, products_of
from .triton_kernels import attend, key_gradients, query_gradients

ELEMENTS = 4096  # of q, k or v in a block
ELEMENTS_BACKWARD = 2048  # half of it, which keeps four products in registers


def triton_decayed_attention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> Tensor:
    """See `decayed_attention`."""
    dtype = wide_dtype(v.dtype)
    y, _ = _attention(q, k, v, log_decay.to(dtype).contiguous(), causal)
    return y.to(v.dtype)


def _outputs(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    # the backward multiplies the rounding of y by distances
    return empty_by_token(v, wide_dtype(v.dtype)), log_decay.new_empty(q.shape[:3])


def _forward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """Returns y and the log-sum-exp of the logits of each query, `(B, H, L)`."""
    y, log_sums = _outputs(q, k, v, log_decay, causal)
    tile = _tile(q, v, ELEMENTS)
    with torch.cuda.device_of(q):
        attend[cdiv(q.shape[2], tile['BLOCK']), q.shape[0] * q.shape[1]](
            *(q, k, v, log_decay, y, log_sums, *q.shape[1:], v.shape[3]),
            *(s for x in (q, k, v, y) for s in x.stride()),
            CAUSAL=causal,
            **products_of(q, k, v),
            **tile,
        )
    return y, log_sums


def _backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool, *saved: Tensor
) -> tuple[Tensor, ...]:
    y, log_sums, dy = saved
    dy = dy.to(v.dtype)  # what it was before the output was narrowed, and exact in fewer registers
    dq, dk, dv = (empty_by_token(x) for x in (q, k, v))
    along = torch.empty_like(log_sums)  # dy · y of each query
    tile = _tile(q, v, ELEMENTS_BACKWARD)
    blocks = cdiv(q.shape[2], tile['BLOCK'])
    drates = log_decay.new_empty(q.shape[0], blocks, q.shape[1])
    sizes = (*q.shape[1:], v.shape[3])
    options = {'CAUSAL': causal, 'num_stages': 2, **products_of(q, k, v), **tile}
    with torch.cuda.device_of(q):
        query_gradients[blocks, q.shape[0] * q.shape[1]](
            *(q, k, v, log_decay, y, log_sums, dy, dq, along, drates, *sizes),
            *(s for x in (q, k, v, y, dy, dq) for s in x.stride()),
            **options,
        )
        key_gradients[blocks, q.shape[0] * q.shape[1]](
            *(q, k, v, log_decay, log_sums, dy, along, dk, dv, *sizes),
            *(s for x in (q, k, v, dy, dk, dv) for s in x.stride()),
            **options,
        )
    return dq, dk, dv, drates.sum((0, 1))


_attention = custom_operator(
    'decayed_attention_triton', _forward, _backward, _outputs, kept=2, empty=empty_by_token
)


def _tile(q: Tensor, v: Tensor, elements: int) -> dict[str, int]:
    """Returns the tokens in a block and the widths of the heads, powers of 2 of at least 16."""
    widths = {
        name: max(16, triton.next_power_of_2(x.shape[3]))
        for name, x in (('BLOCK_K', q), ('BLOCK_V', v))
    }
    elements = elements * 2 // q.dtype.itemsize  # as many bytes of any dtype
    return {'BLOCK': max(16, min(64, elements // max(widths.values()))), **widths}
