"""Products of matrices for the Triton kernels."""

import triton
import triton.language as tl

from .triton_support import interpreted

# The interpreter takes the bits of bfloat16 for integers.
BFLOAT16_AS_IT_IS = tl.constexpr(not interpreted())


@triton.jit
def exact_dot(a, b, wide: tl.constexpr, PRECISION: tl.constexpr):
    """Returns `a @ b`, summed in the dtype `wide`.

    Products of two 16-bit numbers are exact in float32. So those of one dtype are multiplied as
    they are, twice as fast as tf32; all others are widened first.
    """
    narrow: tl.constexpr = a.dtype == tl.float16 or (a.dtype == tl.bfloat16 and BFLOAT16_AS_IT_IS)
    if narrow and a.dtype == b.dtype:
        return tl.dot(a, b)
    else:
        return tl.dot(a.to(wide), b.to(wide), input_precision=PRECISION)


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
