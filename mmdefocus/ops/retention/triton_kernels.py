"""The kernels of retention: `H`, `L`, `K`, `V` are its sizes, `q_b` is a stride of `q`.

Where tokens or channels end, zeros are read: they change neither states nor sums. `log_decay` is λ
of the heads, `(H,)`; or, of TOKENS, its float64 sums over each chunk, `(B, H, chunks, CHUNK)`.
"""

import triton
import triton.language as tl

from ..triton_products import causal_dot, exact_dot

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def head_of(log_decay, H, TOKENS: tl.constexpr):
    """Returns image and head of a program, and the rate of its decay over log 2, if it has one."""
    head = tl.program_id(2) % H
    rate = 0.0
    if not TOKENS:
        rate = tl.load(log_decay + head) * LOG2_E
    return (tl.program_id(2) // H).to(tl.int64), head, rate


@triton.jit
def logarithms(sums, wide: tl.constexpr):
    """Returns sums over log 2 in two parts, so that a difference is rounded as itself."""
    exact = tl.load(sums) * LOG2_E
    high = exact.to(wide)
    return high, (exact - high.to(tl.float64)).to(wide)


@triton.jit
def step_decays(
    log_decay, rate, size, place, wide: tl.constexpr, CHUNK: tl.constexpr, TOKENS: tl.constexpr
):
    """Returns the decays from the state before a chunk and to that after it, and of all of it."""
    i = tl.arange(0, CHUNK)
    if TOKENS:
        high, low = logarithms(log_decay + place * CHUNK + i, wide)
        last, rest = logarithms(log_decay + place * CHUNK + CHUNK - 1, wide)
        entry, leave, whole = high + low, (last - high) + (rest - low), last + rest
    else:
        entry, leave, whole = rate * (i + 1), rate * tl.maximum(size - 1 - i, 0), rate * size
    return tl.exp2(entry), tl.exp2(leave), tl.exp2(whole)


@triton.jit
def pair_decays(
    log_decay, rate, place, ahead, wide: tl.constexpr, CHUNK: tl.constexpr, TOKENS: tl.constexpr,
    REVERSE: tl.constexpr = False,
):  # fmt: skip
    """Returns the decay of pairs of tokens; `ahead` is how far they are apart, else below 0."""
    if TOKENS:
        high, low = logarithms(log_decay + place * CHUNK + tl.arange(0, CHUNK), wide)
        exponent = (high[:, None] - high[None, :]) + (low[:, None] - low[None, :])
        if REVERSE:
            exponent = -exponent
        exponent = tl.where(ahead >= 0, exponent, 0)
    else:
        exponent = rate * tl.maximum(ahead, 0)
    return tl.exp2(exponent)


@triton.jit
def carry_states(
    k, v, log_decay, states, H, L, K, V, chunks,
    k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d,
    CHUNK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
    REVERSE: tl.constexpr, TOKENS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Writes the states `(B, H, chunks, K, V)` before each chunk.

    In reverse, of q and dy, the gradients after each chunk.
    """
    wide = states.dtype.element_ty
    d = tl.program_id(0) * BLOCK_K + tl.arange(0, BLOCK_K)
    e = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    i = tl.arange(0, CHUNK)
    b, head, rate = head_of(log_decay, H, TOKENS)
    k += b * k_b + head * k_h + d[:, None] * k_d
    v += b * v_b + head * v_h + e[None, :] * v_d
    states += (b * H + head) * chunks * K * V + d[:, None] * V + e[None, :]
    state = tl.zeros((BLOCK_K, BLOCK_V), wide)
    for done in range(chunks):
        chunk = chunks - 1 - done if REVERSE else done
        tl.store(states + chunk * K * V, state, (d < K)[:, None] & (e < V)[None, :])
        t = chunk * CHUNK + i
        size = tl.minimum(CHUNK, L - chunk * CHUNK)
        k_c = tl.load(k + t[None, :] * k_l, (d < K)[:, None] & (t < L)[None, :], 0).to(wide)
        v_c = tl.load(v + t[:, None] * v_l, (t < L)[:, None] & (e < V)[None, :], 0).to(wide)
        place = (b * H + head) * chunks + chunk
        entry, leave, whole = step_decays(log_decay, rate, size, place, wide, CHUNK, TOKENS)
        k_c *= (entry if REVERSE else leave)[None, :]
        state = whole * state + tl.dot(k_c, v_c, input_precision=PRECISION)


@triton.jit
def mix_chunks(
    q, k, v, log_decay, states, y, H, L, K, V, chunks,
    q_b, q_h, q_l, q_d, k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d, y_b, y_h, y_l, y_d,
    CHUNK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
    REVERSE: tl.constexpr, TOKENS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Adds what a chunk's tokens read from each other and from the state before the chunk.

    In reverse, of k, q and dy and the gradient after the chunk: the gradient of v.
    """
    wide = states.dtype.element_ty
    chunk = tl.program_id(0)
    i = tl.arange(0, CHUNK)
    t = chunk * CHUNK + i
    e = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    b, head, rate = head_of(log_decay, H, TOKENS)
    q += b * q_b + head * q_h + t[:, None] * q_l
    k += b * k_b + head * k_h + t[None, :] * k_l
    v += b * v_b + head * v_h + t[:, None] * v_l + e[None, :] * v_d
    place = (b * H + head) * chunks + chunk
    states += place * K * V + e[None, :]
    products = tl.zeros((CHUNK, CHUNK), wide)
    read = tl.zeros((CHUNK, BLOCK_V), wide)
    for start in range(0, K, BLOCK_K):
        d = start + tl.arange(0, BLOCK_K)
        q_c = tl.load(q + d[None, :] * q_d, (t < L)[:, None] & (d < K)[None, :], 0)
        k_c = tl.load(k + d[:, None] * k_d, (d < K)[:, None] & (t < L)[None, :], 0)
        state = tl.load(states + d[:, None] * V, (d < K)[:, None] & (e < V)[None, :], 0)
        products += exact_dot(q_c, k_c, wide, PRECISION)
        read += tl.dot(q_c.to(wide), state, input_precision=PRECISION)
    ahead = i[None, :] - i[:, None] if REVERSE else i[:, None] - i[None, :]
    size = tl.minimum(CHUNK, L - chunk * CHUNK)
    entry, leave, _ = step_decays(log_decay, rate, size, place, wide, CHUNK, TOKENS)
    decays = pair_decays(log_decay, rate, place, ahead, wide, CHUNK, TOKENS, REVERSE)
    weights = tl.where(ahead >= 0, products * decays, 0)
    v_c = tl.load(v, (t < L)[:, None] & (e < V)[None, :], 0).to(wide)
    result = read * (leave if REVERSE else entry)[:, None]
    if REVERSE:
        result += tl.dot(weights, v_c, input_precision=PRECISION)
    else:
        result += causal_dot(weights, v_c, PRECISION)
    y += b * y_b + head * y_h + t[:, None] * y_l + e[None, :] * y_d
    tl.store(y, result, (t < L)[:, None] & (e < V)[None, :])


@triton.jit
def query_key_gradients(
    q, k, v, log_decay, dy, states, dstates, dq, dk, drates, H, L, K, V, chunks,
    q_b, q_h, q_l, q_d, k_b, k_h, k_l, k_d, v_b, v_h, v_l, v_d, dy_b, dy_h, dy_l, dy_d,
    dq_b, dq_h, dq_l, dq_d, dk_b, dk_h, dk_l, dk_d,
    CHUNK: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
    TOKENS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A block of the channels of q and k of a chunk; drates `(B, chunks, blocks, H)` is partial.

    Of TOKENS it is `(B, chunks, blocks, H, CHUNK)`. The gradient of the decay is linear in q kᵀ and
    in the state: each block adds its share.
    """
    wide = states.dtype.element_ty
    b, head, rate = head_of(log_decay, H, TOKENS)
    chunk = tl.program_id(0)
    d = tl.program_id(1) * BLOCK_K + tl.arange(0, BLOCK_K)
    i = tl.arange(0, CHUNK)
    t = chunk * CHUNK + i
    in_chunk = (t < L)[:, None] & (d < K)[None, :]
    v += b * v_b + head * v_h + t[None, :] * v_l
    dy += b * dy_b + head * dy_h + t[:, None] * dy_l
    chunk_place = (b * H + head) * chunks + chunk
    states += chunk_place * K * V + d[None, :] * V
    dstates += chunk_place * K * V + d[None, :] * V
    dproducts = tl.zeros((CHUNK, CHUNK), wide)
    dq_c = tl.zeros((CHUNK, BLOCK_K), wide)
    dk_c = tl.zeros((CHUNK, BLOCK_K), wide)
    passed = tl.zeros((BLOCK_K,), wide)
    for start in range(0, V, BLOCK_V):
        e = start + tl.arange(0, BLOCK_V)
        v_c = tl.load(v + e[:, None] * v_d, (e < V)[:, None] & (t < L)[None, :], 0)
        dy_c = tl.load(dy + e[None, :] * dy_d, (t < L)[:, None] & (e < V)[None, :], 0)
        inside = (e < V)[:, None] & (d < K)[None, :]
        state = tl.load(states + e[:, None], inside, 0)
        dstate = tl.load(dstates + e[:, None], inside, 0)
        dproducts += exact_dot(dy_c, v_c, wide, PRECISION)
        dq_c += tl.dot(dy_c.to(wide), state, input_precision=PRECISION)
        dk_c += tl.dot(tl.trans(v_c.to(wide)), dstate, input_precision=PRECISION)
        passed += tl.sum(state * dstate, 0)
    size = tl.minimum(CHUNK, L - chunk * CHUNK)
    ahead = i[:, None] - i[None, :]
    entry, leave, whole = step_decays(log_decay, rate, size, chunk_place, wide, CHUNK, TOKENS)
    dproducts *= pair_decays(log_decay, rate, chunk_place, ahead, wide, CHUNK, TOKENS)
    dproducts = tl.where(ahead >= 0, dproducts, 0)
    dq_c *= entry[:, None]
    dk_c *= leave[:, None]

    place = b * q_b + head * q_h + t[:, None] * q_l + d[None, :] * q_d
    q_c = tl.load(q + place, in_chunk, 0)
    place = b * k_b + head * k_h + t[:, None] * k_l + d[None, :] * k_d
    k_c = tl.load(k + place, in_chunk, 0)
    products = exact_dot(q_c, tl.trans(k_c), wide, PRECISION)
    q_c, k_c = q_c.to(wide), k_c.to(wide)
    reads, writes = tl.sum(q_c * dq_c, 1), tl.sum(k_c * dk_c, 1)
    spot = ((b * chunks + chunk) * tl.num_programs(1) + tl.program_id(1)) * H + head
    if TOKENS:
        # column i is about the token after i: of pairs, those with a token up to i and one behind
        token = (i + 1) % CHUNK
        pairs = tl.where(ahead > 0, tl.cumsum(products * dproducts, 1), 0)
        steps = tl.where(i[:, None] >= token[None, :], reads[:, None], writes[:, None])
        drate = tl.sum(pairs + steps, 0) + tl.sum(passed, 0) * whole
        tl.store(drates + spot * CHUNK + token, drate)
    else:
        after = tl.maximum(size - 1 - i, 0)
        drate = tl.sum(tl.sum(products * dproducts * tl.maximum(ahead, 0), 1), 0)
        drate += tl.sum(reads * (i + 1), 0) + tl.sum(writes * after, 0)
        drate += tl.sum(passed, 0) * whole * size
        tl.store(drates + spot, drate)

    dq_c += causal_dot(dproducts, k_c, PRECISION)
    dk_c += tl.dot(tl.trans(dproducts), q_c, input_precision=PRECISION)
    place = b * dq_b + head * dq_h + t[:, None] * dq_l + d[None, :] * dq_d
    tl.store(dq + place, dq_c, in_chunk)
    place = b * dk_b + head * dk_h + t[:, None] * dk_l + d[None, :] * dk_d
    tl.store(dk + place, dk_c, in_chunk)
