"""Decayed attention in blocks of queries and keys: logits exist for one pair of blocks at a time.

The forward keeps the output and the log-sum-exp of each row; the backward computes the logits
again from them (derivation in README.md). Plain torch, on any device.
"""

import torch
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import causal_product, decay, wide_dtype, without_autocast

BLOCK = 128


def fused_decayed_attention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> Tensor:
    """See `decayed_attention`."""
    y, _ = _attention(q, k, v, log_decay, causal)
    return y.to(v.dtype)


def _blocks(length: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _blocks_of_keys(rows: slice, length: int, causal: bool) -> list[slice]:
    """Returns the blocks that a block of queries attends to."""
    return _blocks(rows.stop if causal else length)


def _distances(rows: slice, cols: slice, like: Tensor) -> tuple[Tensor, Tensor]:
    """Returns how far two different blocks are from the first token of the later, `(T, 1)` each.

    That token lies between the two: the two distances of t and s make `|t - s|`, so the decays
    `exp(λ |t - s|)` are products of a factor of t and one of s, and no exponent is positive.
    """
    cut = max(rows.start, cols.start)
    position = torch.arange(cut + BLOCK, device=like.device, dtype=like.dtype).unsqueeze(-1)
    return (position[rows] - cut).abs_(), (position[cols] - cut).abs_()


def _decays_within(rates: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Returns t - s, `(T, T)`, and the decays within a block, `(H, T, T)`."""
    position = torch.arange(length, device=rates.device, dtype=rates.dtype)
    distance = position[:, None] - position
    return distance, decay(rates, distance.abs())


def _logits(q: Tensor, k: Tensor, rates: Tensor, rows: slice, cols: slice, causal: bool) -> Tensor:
    """Returns the decayed logits of a block of queries and one of keys, `(B, H, T, S)`."""
    if rows != cols:
        of_q, of_k = _distances(rows, cols, rates)
        return (q * decay(rates, of_q)) @ (k * decay(rates, of_k)).mT
    distance, decays = _decays_within(rates, q.shape[2])
    logits = (q @ k.mT).mul_(decays)
    return logits.masked_fill_(distance < 0, float('-inf')) if causal else logits


def _logits_backward(
    q: Tensor, k: Tensor, rates: Tensor, rows: slice, cols: slice, causal: bool, dlogits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of q, k and rates, the last `(H,)`."""
    if rows != cols:
        of_q, of_k = _distances(rows, cols, rates)
        decay_q, decay_k = decay(rates, of_q), decay(rates, of_k)
        dq = (dlogits @ (k * decay_k)).mul_(decay_q)
        dk = (dlogits.mT @ (q * decay_q)).mul_(decay_k)
        drates = (q * dq * of_q).sum((0, 2, 3)) + (k * dk * of_k).sum((0, 2, 3))
        return dq, dk, drates
    distance, decays = _decays_within(rates, q.shape[2])
    if causal:
        dlogits = dlogits.tril()  # their weights are 0, but 0 times NaN is NaN
    dproducts = dlogits * decays
    drates = (q @ k.mT).mul_(dproducts).mul_(distance.abs()).sum((0, 2, 3))
    product = causal_product if causal else torch.matmul
    return product(dproducts, k), dproducts.mT @ q, drates


def _prepare(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Widens, scales q, and lays the heads out densely, because each block is read many times."""
    dtype = wide_dtype(v.dtype)
    q, k, v = (x.to(dtype).contiguous() for x in (q, k, v))
    return q * q.shape[-1] ** -0.5, k, v, log_decay.to(dtype)[:, None, None]


def _outputs(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    dtype = wide_dtype(v.dtype)  # of y too: the backward multiplies its rounding by distances
    return torch.empty_like(v, dtype=dtype), q.new_empty(*q.shape[:3], 1, dtype=dtype)


@without_autocast
def _forward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """Returns y and the log-sum-exp of the logits of each query, `(B, H, L, 1)`."""
    y, log_sums = _outputs(q, k, v, log_decay, causal)
    q, k, v, rates = _prepare(q, k, v, log_decay)
    for rows in _blocks(q.shape[2]):
        q_r = q[:, :, rows]
        top = torch.full_like(log_sums[:, :, rows], float('-inf'))  # largest logit so far
        total = torch.zeros_like(top)
        mix = torch.zeros_like(v[:, :, rows])
        for cols in _blocks_of_keys(rows, q.shape[2], causal):
            logits = _logits(q_r, k[:, :, cols], rates, rows, cols, causal)
            new_top = torch.maximum(top, logits.amax(-1, keepdim=True))
            weights = logits.sub_(new_top).exp_()
            shrink = torch.exp(top - new_top)
            total = total * shrink + weights.sum(-1, keepdim=True)
            product = causal_product if causal and rows == cols else torch.matmul
            mix = mix * shrink + product(weights, v[:, :, cols])
            top = new_top
        y[:, :, rows] = mix / total
        log_sums[:, :, rows] = top + total.log()
    return y, log_sums


@without_autocast
def _backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool, *saved: Tensor
) -> tuple[Tensor, ...]:
    y, log_sums, dy = saved
    grads = tuple(torch.empty_like(x) for x in (q, k, v, log_decay))
    q, k, v, rates = _prepare(q, k, v, log_decay)
    dy = dy.to(v.dtype).contiguous()
    means = (dy * y).sum(-1, keepdim=True)
    dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
    drates = torch.zeros_like(rates[:, 0, 0])
    for rows in _blocks(q.shape[2]):
        q_r, dy_r = q[:, :, rows], dy[:, :, rows]
        for cols in _blocks_of_keys(rows, q.shape[2], causal):
            k_c, v_c = k[:, :, cols], v[:, :, cols]
            logits = _logits(q_r, k_c, rates, rows, cols, causal)
            weights = logits.sub_(log_sums[:, :, rows]).exp_()
            dv[:, :, cols] += weights.mT @ dy_r
            dlogits = (dy_r @ v_c.mT).sub_(means[:, :, rows]).mul_(weights)
            dq_b, dk_b, drates_b = _logits_backward(q_r, k_c, rates, rows, cols, causal, dlogits)
            dq[:, :, rows] += dq_b
            dk[:, :, cols] += dk_b
            drates += drates_b
    dq *= q.shape[-1] ** -0.5
    return tuple(x.copy_(dx) for x, dx in zip(grads, (dq, dk, dv, drates), strict=True))


_attention = custom_operator('decayed_attention_fused', _forward, _backward, _outputs, kept=2)
