"""The kernels of decayed attention: `H`, `L`, `K`, `V` are its sizes, `q_b` is a stride of `q`.

Logits are multiples of log 2, so that weights are powers of 2; the decay is computed for each.
"""

import triton
import triton.language as tl

from ..triton_products import causal_dot, exact_dot

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def load_block(x, t, d, x_l, x_d, L, D):
    """Loads the tokens t and channels d as `(T, D)`, zeros beyond L and D."""
    inside = (t < L)[:, None] & (d < D)[None, :]
    return tl.load(x + t[:, None] * x_l + d[None, :] * x_d, inside, 0)


@triton.jit
def store_block(x, value, t, d, x_l, x_d, L, D):
    """Stores `(T, D)` at the tokens t and channels d, which may reach beyond L and D."""
    inside = (t < L)[:, None] & (d < D)[None, :]
    tl.store(x + t[:, None] * x_l + d[None, :] * x_d, value, inside)


@triton.jit
def decayed_logits(
    q_r, k_c, rows, columns, rate, scale, L, CAUSAL: tl.constexpr, PRECISION: tl.constexpr
):
    """Returns logits over log 2, `-inf` outside; the distances and the decays."""
    distance = tl.abs(rows[:, None] - columns[None, :])
    decay = tl.exp2(rate * distance)
    logits = exact_dot(q_r, tl.trans(k_c), scale.dtype, PRECISION) * decay * (scale * LOG2_E)
    seen = (columns < L)[None, :]
    if CAUSAL:
        seen &= rows[:, None] >= columns[None, :]
    return tl.where(seen, logits, float('-inf')), distance, decay


@triton.jit
def weight_gradients(logits, log_sum, v_c, dy_r, dy_y, PRECISION: tl.constexpr):
    """Returns the weights of a pair of blocks and the gradients of their decayed logits."""
    weights = tl.exp2(logits - log_sum[:, None])
    dweights = exact_dot(dy_r, tl.trans(v_c), logits.dtype, PRECISION)
    return weights, weights * (dweights - dy_y[:, None])


@triton.jit
def attend_block(
    top, total, mix, q_r, k, v, rows, columns, d, e, rate, scale, L, K, V, k_l, k_d, v_l, v_d,
    CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Adds a block of keys to the largest logits, the sums of weights and the mixes of values.

    `CAUSAL` holds for the block of the queries themselves; those before are seen whole.
    """
    wide = mix.dtype
    k_c = load_block(k, columns, d, k_l, k_d, L, K)
    v_c = load_block(v, columns, e, v_l, v_d, L, V)
    logits, _, _ = decayed_logits(q_r, k_c, rows, columns, rate, scale, L, CAUSAL, PRECISION)
    new_top = tl.maximum(top, tl.max(logits, 1))
    weights = tl.exp2(logits - new_top[:, None])
    shrink = tl.exp2(top - new_top)
    total = total * shrink + tl.sum(weights, 1)
    if CAUSAL:
        product = causal_dot(weights, v_c.to(wide), PRECISION)
    else:
        product = tl.dot(weights, v_c.to(wide), input_precision=PRECISION)
    return new_top, total, mix * shrink[:, None] + product


@triton.jit
def place(log_decay, H, K, BLOCK: tl.constexpr, wide: tl.constexpr):
    """Returns image, head and tokens of a program, the rate over log 2 and the scale of logits."""
    b = (tl.program_id(1) // H).to(tl.int64)
    head = tl.program_id(1) % H
    tokens = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rate = tl.load(log_decay + head) * LOG2_E
    return b, head, tokens, rate, 1 / tl.sqrt(tl.full((), K, wide))


@triton.jit
def attend(
    q, k, v, log_decay, y, log_sums, H, L, K, V,
    q_b, q_h, q_l, q_d, k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d, y_b, y_h, y_l, y_d,
    CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """A block of queries against all keys that they see."""
    wide = log_sums.dtype.element_ty
    b, head, rows, rate, scale = place(log_decay, H, K, BLOCK, wide)
    d, e = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    q_r = load_block(q + b * q_b + head * q_h, rows, d, q_l, q_d, L, K)
    top = tl.full((BLOCK,), float('-inf'), wide)
    total = tl.zeros((BLOCK,), wide)
    mix = tl.zeros((BLOCK, BLOCK_V), wide)
    k += b * k_b + head * k_h
    v += b * v_b + head * v_h
    for start in range(0, tl.program_id(0) * BLOCK if CAUSAL else L, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        top, total, mix = attend_block(
            top, total, mix, q_r, k, v, rows, columns, d, e, rate, scale, L, K, V,
            k_l, k_d, v_l, v_d, False, PRECISION,
        )  # fmt: skip
    if CAUSAL:
        top, total, mix = attend_block(
            top, total, mix, q_r, k, v, rows, rows, d, e, rate, scale, L, K, V,
            k_l, k_d, v_l, v_d, True, PRECISION,
        )  # fmt: skip
    store_block(y + b * y_b + head * y_h, mix / total[:, None], rows, e, y_l, y_d, L, V)
    log_sums += (b * H + head) * L + rows
    tl.store(log_sums, (top + tl.log2(total)) * LN_2, rows < L)


@triton.jit
def query_gradient_block(
    dq_r, drate, q_r, k, v, dy_r, dy_y, log_sum, rows, columns, d, e, rate, scale, L, K, V,
    k_l, k_d, v_l, v_d, CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Adds what a block of keys gives to the gradients of queries and of the rate.

    `CAUSAL` holds for the block of the queries themselves.
    """
    wide = dq_r.dtype
    k_c = load_block(k, columns, d, k_l, k_d, L, K)
    v_c = load_block(v, columns, e, v_l, v_d, L, V)
    logits, distance, decay = decayed_logits(
        q_r, k_c, rows, columns, rate, scale, L, CAUSAL, PRECISION
    )
    _, dlogits = weight_gradients(logits, log_sum, v_c, dy_r, dy_y, PRECISION)
    if CAUSAL:  # the weights of later keys are 0, but 0 times NaN is NaN
        dlogits = tl.where(rows[:, None] >= columns[None, :], dlogits, 0)
        product = causal_dot(dlogits * decay, k_c.to(wide), PRECISION)
    else:
        product = tl.dot(dlogits * decay, k_c.to(wide), input_precision=PRECISION)
    finite = tl.where(logits == float('-inf'), 0, logits) * LN_2
    return dq_r + product, drate + tl.sum(distance * dlogits * finite, 1)


@triton.jit
def query_gradients(
    q, k, v, log_decay, y, log_sums, dy, dq, along, drates, H, L, K, V,
    q_b, q_h, q_l, q_d, k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d,
    y_b, y_h, y_l, y_d, dy_b, dy_h, dy_l, dy_d, dq_b, dq_h, dq_l, dq_d,
    CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """A block of queries: dq, dy · y and the partial drates `(B, blocks, H)`."""
    wide = log_sums.dtype.element_ty
    b, head, rows, rate, scale = place(log_decay, H, K, BLOCK, wide)
    d, e = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    q_r = load_block(q + b * q_b + head * q_h, rows, d, q_l, q_d, L, K)
    y_r = load_block(y + b * y_b + head * y_h, rows, e, y_l, y_d, L, V)
    dy_r = load_block(dy + b * dy_b + head * dy_h, rows, e, dy_l, dy_d, L, V)
    log_sum = tl.load(log_sums + (b * H + head) * L + rows, rows < L, 0) * LOG2_E
    dy_y = tl.sum(dy_r.to(wide) * y_r, 1)
    tl.store(along + (b * H + head) * L + rows, dy_y, rows < L)
    dq_r = tl.zeros((BLOCK, BLOCK_K), wide)
    drate = tl.zeros((BLOCK,), wide)
    k += b * k_b + head * k_h
    v += b * v_b + head * v_h
    for start in range(0, tl.program_id(0) * BLOCK if CAUSAL else L, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        dq_r, drate = query_gradient_block(
            dq_r, drate, q_r, k, v, dy_r, dy_y, log_sum, rows, columns, d, e, rate, scale, L, K, V,
            k_l, k_d, v_l, v_d, False, PRECISION,
        )  # fmt: skip
    if CAUSAL:
        dq_r, drate = query_gradient_block(
            dq_r, drate, q_r, k, v, dy_r, dy_y, log_sum, rows, rows, d, e, rate, scale, L, K, V,
            k_l, k_d, v_l, v_d, True, PRECISION,
        )  # fmt: skip
    store_block(dq + b * dq_b + head * dq_h, dq_r * scale, rows, d, dq_l, dq_d, L, K)
    spot = (b * tl.num_programs(0) + tl.program_id(0)) * H + head
    tl.store(drates + spot, tl.sum(drate, 0))


@triton.jit
def key_gradients(
    q, k, v, log_decay, log_sums, dy, along, dk, dv, H, L, K, V,
    q_b, q_h, q_l, q_d, k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d,
    dy_b, dy_h, dy_l, dy_d, dk_b, dk_h, dk_l, dk_d, dv_b, dv_h, dv_l, dv_d,
    CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """A block of keys and values against all queries that see them."""
    wide = log_sums.dtype.element_ty
    b, head, columns, rate, scale = place(log_decay, H, K, BLOCK, wide)
    d, e = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_V)
    k_c = load_block(k + b * k_b + head * k_h, columns, d, k_l, k_d, L, K)
    v_c = load_block(v + b * v_b + head * v_h, columns, e, v_l, v_d, L, V)
    dk_c = tl.zeros((BLOCK, BLOCK_K), wide)
    dv_c = tl.zeros((BLOCK, BLOCK_V), wide)
    first = tl.program_id(0) * BLOCK if CAUSAL else 0
    for start in range(first, L, BLOCK):
        rows = start + tl.arange(0, BLOCK)
        q_r = load_block(q + b * q_b + head * q_h, rows, d, q_l, q_d, L, K)
        dy_r = load_block(dy + b * dy_b + head * dy_h, rows, e, dy_l, dy_d, L, V)
        spot = (b * H + head) * L + rows
        log_sum = tl.load(log_sums + spot, rows < L, 0) * LOG2_E
        dy_y = tl.load(along + spot, rows < L, 0)
        logits, _, decay = decayed_logits(
            q_r, k_c, rows, columns, rate, scale, L, CAUSAL, PRECISION
        )
        weights, dlogits = weight_gradients(logits, log_sum, v_c, dy_r, dy_y, PRECISION)
        dv_c += tl.dot(tl.trans(weights), dy_r.to(wide), input_precision=PRECISION)
        dk_c += tl.dot(tl.trans(dlogits * decay), q_r.to(wide), input_precision=PRECISION)
    store_block(dk + b * dk_b + head * dk_h, dk_c * scale, columns, d, dk_l, dk_d, L, K)
    store_block(dv + b * dv_b + head * dv_h, dv_c, columns, e, dv_l, dv_d, L, V)
