"""A product of matrices for the Triton kernels in which nothing comes from later tokens."""

import triton
import triton.language as tl


@triton.jit
def causal_dot(weights, x, PRECISION: tl.constexpr):
    """Returns `weights @ x`, of a lower triangle `(T, T)` and tokens `(T, C)`.

    A channel is NaN from its first number on that is not finite. The plain product would spoil the
    tokens before, too: the zeros above the diagonal times NaN are NaN.
    """
    token = tl.arange(0, weights.shape[0])[:, None]
    finite = tl.abs(x) < float('inf')  # False for NaN
    first = tl.min(tl.where(finite, weights.shape[0], token), 0)
    y = tl.dot(weights, tl.where(finite, x, 0), input_precision=PRECISION)
    return tl.where(token < first[None, :], y, float('nan'))
