"""What the kernels of the selective scan do with a few tokens at once, which are tuples."""

import triton
import triton.language as tl

# log(1 + x) / x from 0 to 1, highest power first, interpolated at the zeros of T_10
TERMS = tl.constexpr(10)
LOG1P = tl.constexpr(
    (
        -0.0031760570527694654,
        0.01954252743780671,
        -0.056373613209643736,
        0.10543623839523661,
        -0.15269667104466478,
        0.19663274269437397,
        -0.2495161626572586,
        0.33329710499262943,
        -0.49999892648080163,
        0.9999999946562934,
    )
)


@triton.jit
def load_tokens(x, x_l, start, L, inside, TOKENS: tl.constexpr, SOFTPLUS: tl.constexpr = False):
    """Loads tokens from `start` on, as a tuple; where there are none, what becomes 0."""
    nothing: tl.constexpr = float('-inf') if SOFTPLUS else 0
    tokens = ()
    for i in tl.static_range(TOKENS):
        # not `&`, of which the interpreter of Triton 3.9 makes no mask
        there = tl.where(start + i < L, inside, False)
        tokens += (tl.load(x + (start + i) * x_l, there, nothing),)
    return tokens


@triton.jit
def load_bias(bias, d, D, wide: tl.constexpr, SOFTPLUS: tl.constexpr):
    """Loads the bias of channels, if there is one."""
    return tl.load(bias + d, d < D, 0).to(wide) if SOFTPLUS else tl.zeros((1, 1), wide)


@triton.jit
def time_steps(raw, bias, TOKENS: tl.constexpr, SOFTPLUS: tl.constexpr):
    """Returns the time steps of tokens, as a tuple, in the dtype of the bias."""
    steps = ()
    for i in tl.static_range(TOKENS):
        x = raw[i].to(bias.dtype)
        steps += (softplus(x + bias) if SOFTPLUS else x,)
    return steps


@triton.jit
def softplus(x):
    """Computes `max(x, 0) + log1p(exp(-|x|))`, as accurate for small results as for large ones."""
    return tl.maximum(x, 0) + log1p(tl.exp(-tl.abs(x)))


@triton.jit
def log1p(x):
    """Computes `log(1 + x)` for x from 0 to 1; for float32, to within 1.4e-7 of the result."""
    if x.dtype == tl.float64:
        y = 1 + x
        rounded = tl.where(y == 1, 1, y - 1)  # x as it is in y
        return tl.where(y == 1, x, tl.log(y) * (x / rounded))
    else:
        ratio = tl.zeros_like(x)
        for i in tl.static_range(TERMS):
            ratio = ratio * x + LOG1P[i]
        return ratio * x


@triton.jit
def states_of(h, rates, u, delta, B, TOKENS: tl.constexpr):
    """Returns the states before, between and after tokens, as a tuple."""
    states = (h,)
    for i in tl.static_range(TOKENS):
        h = tl.exp2(delta[i] * rates) * h + delta[i] * u[i].to(h.dtype) * B[i].to(h.dtype)
        states += (h,)
    return states


@triton.jit
def joined(x, shape: tl.constexpr):
    """Joins what there is of each of 8 tokens, along a last axis."""
    even = tl.join(tl.join(x[0], x[4]), tl.join(x[2], x[6]))
    odd = tl.join(tl.join(x[1], x[5]), tl.join(x[3], x[7]))
    return tl.reshape(tl.join(even, odd), shape)
