"""Retention as one masked product of matrices: the fewest steps, quadratic in the length.

The backward computes the scores again, so that nothing `(L, L)` is kept between the two.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import causal_product, decay, wide_dtype, without_autocast

Product = Callable[[Tensor, Tensor], Tensor]


def parallel_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`."""
    return _retention(q, k, v, log_decay)


def dense_retention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, product: Product = torch.matmul
) -> Tensor:
    """Computes `(q kᵀ * decay) v` of tensors of one dtype, the last product with `product`."""
    _, decays = _decays(log_decay, q.shape[2])
    return product((q @ k.mT).mul_(decays).tril_(), v)


def dense_retention_backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of q, k, v and log_decay for tensors of one dtype."""
    distance, decays = _decays(log_decay, q.shape[2])
    products = q @ k.mT
    dv = (products * decays).tril_().mT @ dy
    dproducts = (dy @ v.mT).mul_(decays).tril_()
    dq, dk = causal_product(dproducts, k), dproducts.mT @ q
    dlog_decay = products.mul_(dproducts).mul_(distance).sum((0, 2, 3))
    return dq, dk, dv, dlog_decay


def _decays(log_decay: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Returns the distances t - s, `(L, L)`, and their decays, `(H, L, L)`.

    Where s > t both hold the values of distance 0, so that no exponent is positive. Callers mask
    these places after the products, which also removes a NaN that came from a later token.
    """
    position = torch.arange(length, device=log_decay.device, dtype=log_decay.dtype)
    distance = (position[:, None] - position).clamp_(min=0)
    return distance, decay(log_decay[:, None, None], distance)


@without_autocast
def _forward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    dtype = wide_dtype(v.dtype)
    y = torch.empty_like(v)
    q, k, v, rates = (x.to(dtype) for x in (q, k, v, log_decay))
    return y.copy_(dense_retention(q, k, v, rates, causal_product))


@without_autocast
def _backward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    dtype = wide_dtype(v.dtype)
    grads = dense_retention_backward(*(x.to(dtype) for x in (q, k, v, log_decay, dy)))
    inputs = (q, k, v, log_decay)
    return tuple(torch.empty_like(x).copy_(g) for x, g in zip(inputs, grads, strict=True))


_retention = custom_operator(
    'retention_parallel', _forward, _backward, lambda q, k, v, log_decay: torch.empty_like(v)
)
