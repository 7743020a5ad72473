"""Retention as one masked product of matrices: the fewest steps, quadratic in the length.

The backward computes the scores again, so that nothing `(L, L)` is kept between the two.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import causal_product, wide_dtype, without_autocast
from .decays import Decays, decays_of

Product = Callable[[Tensor, Tensor], Tensor]


def parallel_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`."""
    return _retention(q, k, v, log_decay)


def exportable_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Computes retention in plain tensor operations, of tensors of one dtype."""
    return dense_retention(q, k, v, decays_of(log_decay, q.shape[2]), torch.matmul)


def dense_retention(
    q: Tensor, k: Tensor, v: Tensor, decays: Decays, product: Product = causal_product
) -> Tensor:
    """Computes `(q kᵀ * decay) v` of tensors of one dtype, the last product with `product`."""
    return product(_multiply_(q @ k.mT, decays.within, v).tril_(), v)


def dense_retention_backward(
    q: Tensor, k: Tensor, v: Tensor, decays: Decays, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of q, k, v and λ for tensors of one dtype."""
    products = q @ k.mT
    dv = (products * decays.within).tril_().mT @ dy
    dproducts = (dy @ v.mT).mul_(decays.within).tril_()
    of_heads = sum_shared(dproducts, q)
    dq, dk = causal_product(of_heads, k), of_heads.mT @ q
    return dq, dk, dv, decays.within_gradient(_multiply_(products, dproducts, v))


def sum_shared(gradient: Tensor, shared: Tensor) -> Tensor:
    """Returns a gradient `(B, H, ...)` as it is, or `(B, 1, ...)` of what all heads share."""
    return gradient if gradient.shape[1] == shared.shape[1] else gradient.sum(1, keepdim=True)


def _multiply_(products: Tensor, factors: Tensor, v: Tensor) -> Tensor:
    """Multiplies products of queries and keys for each head of v, in place where they are its."""
    of_each = products.shape[1] == v.shape[1]
    return products.mul_(factors) if of_each else products * factors


@without_autocast
def _forward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    dtype = wide_dtype(v.dtype)
    y = torch.empty_like(v)
    q, k, v, rates = (x.to(dtype) for x in (q, k, v, log_decay))
    return y.copy_(dense_retention(q, k, v, decays_of(rates, q.shape[2])))


@without_autocast
def _backward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    inputs = (q, k, v, log_decay)
    dtype = wide_dtype(v.dtype)
    q, k, v, rates, dy = (x.to(dtype) for x in (*inputs, dy))
    grads = dense_retention_backward(q, k, v, decays_of(rates, q.shape[2]), dy)
    return tuple(torch.empty_like(x).copy_(g) for x, g in zip(inputs, grads, strict=True))


_retention = custom_operator(
    'retention_parallel', _forward, _backward, lambda q, k, v, log_decay: torch.empty_like(v)
)
