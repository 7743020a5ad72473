"""Retention as one masked product of matrices: the fewest steps, quadratic in the length.

The backward computes the scores again, so that nothing `(L, L)` is kept between the two.
"""

import torch
from torch import Tensor

from ..autocast import without_autocast
from ..decay import decay


def parallel_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """See `retention`."""
    return _retention(q, k, v, log_decay)


def dense_retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Computes `(q kᵀ * decay) v` of tensors of one dtype."""
    _, decays = _decays(log_decay, q.shape[2])
    return (q @ k.mT).mul_(decays).tril_() @ v


def dense_retention_backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of q, k, v and log_decay for tensors of one dtype."""
    distance, decays = _decays(log_decay, q.shape[2])
    products = q @ k.mT
    dv = (products * decays).tril_().mT @ dy
    dproducts = (dy @ v.mT).mul_(decays).tril_()
    dq, dk = dproducts @ k, dproducts.mT @ q
    dlog_decay = products.mul_(dproducts).mul_(distance).sum((0, 2, 3))
    return dq, dk, dv, dlog_decay


def _decays(log_decay: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Returns the distances t - s, `(L, L)`, and their decays, `(H, L, L)`.

    Both are those of distance 0 where s > t, so that no exponent is positive. The mask comes after
    the products, where it also stops a NaN of a later token.
    """
    position = torch.arange(length, device=log_decay.device, dtype=log_decay.dtype)
    distance = (position[:, None] - position).clamp_(min=0)
    return distance, decay(log_decay[:, None, None], distance)


@torch.library.custom_op('mmdefocus::retention_parallel', mutates_args=())
@without_autocast
def _retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    dtype = torch.promote_types(v.dtype, torch.float32)
    y = torch.empty_like(v)
    return y.copy_(dense_retention(*(x.to(dtype) for x in (q, k, v, log_decay))))


@_retention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    return torch.empty_like(v)


@torch.library.custom_op('mmdefocus::retention_parallel_backward', mutates_args=())
@without_autocast
def _retention_backward(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of q, k, v and log_decay."""
    dtype = torch.promote_types(v.dtype, torch.float32)
    grads = dense_retention_backward(*(x.to(dtype) for x in (q, k, v, log_decay, dy)))
    inputs = (q, k, v, log_decay)
    return tuple(torch.empty_like(x).copy_(g) for x, g in zip(inputs, grads, strict=True))


@_retention_backward.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return tuple(torch.empty_like(x) for x in (q, k, v, log_decay))


def _setup_context(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, dy: Tensor) -> tuple[Tensor, ...]:
    return _retention_backward(*ctx.saved_tensors, dy)


_retention.register_autograd(_backward, setup_context=_setup_context)
