"""The kernels of the selective scan: `L`, `D` and `N` are its sizes, `x_b` is a stride of `x`.

Two layouts of a program's states: `(N, D)` puts a channel in each thread, so that sums over the
states need no other thread; `(D, N)` spreads both over a warp, so that sums over channels are short
too. Where tokens, channels or states end, zeros are read: they change neither state nor sums.

With SOFTPLUS the time steps are `softplus(delta + bias)`, else they are delta.
"""

import triton
import triton.language as tl

from .triton_tokens import joined, load_bias, load_tokens, states_of, time_steps

CHUNK = tl.constexpr(16)  # tokens between two kept states
HALF = tl.constexpr(8)  # tokens whose states the backward holds at once
LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def scan_from_zero(
    x, weight, delta, bias, A, ends, steps,
    L, D, N, segment,
    x_b, x_d, x_l, weight_b, weight_n, weight_l, delta_b, delta_d, delta_l, A_d, A_n,
    ends_b, ends_s, ends_d, ends_n,
    REVERSE: tl.constexpr, SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Scans each segment from 0: `h = a h + delta x weight`, or in reverse `h = a (h + x weight)`.

    Writes the last states, ends `(B, S, D, N)`, and the sums of time steps, steps `(B, S, D)`.
    """
    wide = ends.dtype.element_ty
    n = tl.arange(0, BLOCK_N)[:, None]
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    s = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    rates = tl.load(A + d * A_d + n * A_n, (d < D) & (n < N), 0).to(wide) * LOG2_E
    x += b * x_b + d * x_d
    weight += b * weight_b + n * weight_n
    delta += b * delta_b + d * delta_d
    bias_d = load_bias(bias, d, D, wide, SOFTPLUS)
    h = tl.zeros((BLOCK_N, BLOCK_D), wide)
    total = tl.zeros((1, BLOCK_D), wide)
    first = s * segment
    stop = tl.minimum(first + segment, L)
    steps_of_segment = tl.cdiv(stop - first, STEP)
    for done in range(steps_of_segment):
        start = first + (steps_of_segment - 1 - done if REVERSE else done) * STEP
        x_s = load_tokens(x, x_l, start, stop, d < D, STEP)
        weight_s = load_tokens(weight, weight_l, start, stop, n < N, STEP)
        raw_s = load_tokens(delta, delta_l, start, stop, d < D, STEP, SOFTPLUS)
        delta_s = time_steps(raw_s, bias_d, STEP, SOFTPLUS)
        for i in tl.static_range(STEP):
            if REVERSE:
                delta_t = delta_s[STEP - 1 - i]
                h += x_s[STEP - 1 - i].to(wide) * weight_s[STEP - 1 - i].to(wide)
                h *= tl.exp2(delta_t * rates)
            else:
                delta_t = delta_s[i]
                h *= tl.exp2(delta_t * rates)
                h += delta_t * x_s[i].to(wide) * weight_s[i].to(wide)
            total += delta_t
    place = b * ends_b + s * ends_s + d * ends_d + n * ends_n
    tl.store(ends + place, h, (d < D) & (n < N))
    tl.store(steps + (b * tl.num_programs(1) + s) * D + d, total, d < D)


@triton.jit
def carry_states(
    ends, steps, A, states,
    S, D, N,
    A_d, A_n, ends_b, ends_s, ends_d, ends_n,
    REVERSE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Turns the ends of segments that began at 0 into the true states between them.

    Writes the state before each segment or, in reverse, after it; `states` is laid out as `ends`.
    The first that is carried is there already.
    """
    wide = ends.dtype.element_ty
    n = tl.arange(0, BLOCK_N)[:, None]
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    b = tl.program_id(1).to(tl.int64)
    inside = (d < D) & (n < N)
    rates = tl.load(A + d * A_d + n * A_n, inside, 0).to(wide) * LOG2_E
    first = S - 1 if REVERSE else 0
    h = tl.load(states + b * ends_b + first * ends_s + d * ends_d + n * ends_n, inside, 0)
    for done in range(S):
        s = S - 1 - done if REVERSE else done
        place = b * ends_b + s * ends_s + d * ends_d + n * ends_n
        tl.store(states + place, h, inside)
        step = tl.load(steps + (b * S + s) * D + d, d < D, 0)
        h = tl.exp2(step * rates) * h + tl.load(ends + place, inside, 0)


@triton.jit
def scan(
    u, delta, bias, A, B, C, starts, y, kept,
    L, D, N, segment, chunks,
    u_b, u_d, u_l, delta_b, delta_d, delta_l, A_d, A_n, B_b, B_n, B_l, C_b, C_n, C_l,
    starts_b, starts_s, starts_d, starts_n, y_b, y_d, y_l,
    KEEP: tl.constexpr, KEEP_END: tl.constexpr, SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Scans each segment from its state in `starts`; may KEEP the state before each chunk.

    To keep the end, the state after the segment takes the place of the one before it.
    """
    wide = kept.dtype.element_ty
    n = tl.arange(0, BLOCK_N)[:, None]
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    s = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    inside = (d < D) & (n < N)
    rates = tl.load(A + d * A_d + n * A_n, inside, 0).to(wide) * LOG2_E
    u += b * u_b + d * u_d
    delta += b * delta_b + d * delta_d
    bias_d = load_bias(bias, d, D, wide, SOFTPLUS)
    B += b * B_b + n * B_n
    C += b * C_b + n * C_n
    y += b * y_b + d * y_d
    starts += b * starts_b + s * starts_s + d * starts_d + n * starts_n
    h = tl.load(starts, inside, 0)
    for start in range(s * segment, tl.minimum((s + 1) * segment, L), STEP):
        if KEEP:
            chunk = start // CHUNK
            if start == chunk * CHUNK:
                tl.store(kept + (b * chunks + chunk) * D * N + d * N + n, h, inside)
        u_s = load_tokens(u, u_l, start, L, d < D, STEP)
        raw_s = load_tokens(delta, delta_l, start, L, d < D, STEP, SOFTPLUS)
        B_s = load_tokens(B, B_l, start, L, n < N, STEP)
        C_s = load_tokens(C, C_l, start, L, n < N, STEP)
        delta_s = time_steps(raw_s, bias_d, STEP, SOFTPLUS)
        states = states_of(h, rates, u_s, delta_s, B_s, STEP)
        for i in tl.static_range(STEP):
            y_t = tl.sum(states[i + 1] * C_s[i].to(wide), 0, keep_dims=True)
            tl.store(y + (start + i) * y_l, y_t, tl.where(start + i < L, d < D, False))
        h = states[STEP]
    if KEEP_END:
        tl.store(starts, h, inside)


@triton.jit
def scan_backward(
    u, delta, bias, A, B, C, dy, kept, ends, du, ddelta, dbias, dA, dB, dC,
    L, D, N, segment, chunks,
    u_b, u_d, u_l, delta_b, delta_d, delta_l, A_d, A_n, B_b, B_n, B_l, C_b, C_n, C_l,
    dy_b, dy_d, dy_l, ends_b, ends_s, ends_d, ends_n,
    du_b, du_d, du_l, ddelta_b, ddelta_d, ddelta_l,
    ADD_DU: tl.constexpr, KEEP_END: tl.constexpr, SOFTPLUS: tl.constexpr,
    BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Goes back through each segment from the gradient in `ends`, half a chunk at a time.

    The states in a half are computed again from the kept one and held in registers. All that a half
    needs is loaded before anything is stored: a load waits for the stores before it. Writes sums
    over a segment, dbias `(B S, D)` and dA `(B S, D, N)`, and over a block of channels, dB and dC
    `(blocks, B, L, N)`. With ADD_DU, du holds a share of it already. What is read of dy is not read
    again, so ddelta may take its place. To keep the end, the gradient before the segment takes the
    place of the one after it.
    """
    wide = kept.dtype.element_ty
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)[:, None]
    n = tl.arange(0, BLOCK_N)[None, :]
    s = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    in_d = d < D
    in_n = n < N
    rates = tl.load(A + d * A_d + n * A_n, in_d & in_n, 0).to(wide) * LOG2_E
    u += b * u_b + d * u_d
    delta += b * delta_b + d * delta_d
    bias_d = load_bias(bias, d, D, wide, SOFTPLUS)
    B += b * B_b + n * B_n
    C += b * C_b + n * C_n
    dy += b * dy_b + d * dy_d
    du += b * du_b + d * du_d
    ddelta += b * ddelta_b + d * ddelta_d
    sums = (tl.program_id(0) * tl.num_programs(2) + b) * L * N + tl.arange(0, BLOCK_N)[:, None]
    dB += sums
    dC += sums
    kept += b * chunks * D * N + d * N + n
    ends += b * ends_b + s * ends_s + d * ends_d + n * ends_n
    carry = tl.load(ends, in_d & in_n, 0)
    sum_dA = tl.zeros((BLOCK_D, BLOCK_N), wide)
    sum_dbias = tl.zeros((BLOCK_D, 1), wide)
    first_half = s * (segment // HALF)
    stop_half = tl.cdiv(tl.minimum((s + 1) * segment, L), HALF)
    for done in range(stop_half - first_half):
        start = (stop_half - 1 - done) * HALF
        h = tl.load(kept + (start // CHUNK).to(tl.int64) * D * N, in_d & in_n, 0)
        if start % CHUNK:
            h = states_of(
                h, rates,
                load_tokens(u, u_l, start - HALF, L, in_d, HALF),
                time_steps(
                    load_tokens(delta, delta_l, start - HALF, L, in_d, HALF, SOFTPLUS),
                    bias_d, HALF, SOFTPLUS,
                ),
                load_tokens(B, B_l, start - HALF, L, in_n, HALF), HALF,
            )[HALF]  # fmt: skip
        u_h = load_tokens(u, u_l, start, L, in_d, HALF)
        raw_h = load_tokens(delta, delta_l, start, L, in_d, HALF, SOFTPLUS)
        dy_h = load_tokens(dy, dy_l, start, L, in_d, HALF)
        t = start + tl.arange(0, HALF)[None, :]
        if ADD_DU:
            du_before = tl.load(du + t * du_l, in_d & (t < L), 0)
        B_h = load_tokens(B, B_l, start, L, in_n, HALF)
        C_h = load_tokens(C, C_l, start, L, in_n, HALF)
        delta_h = time_steps(raw_h, bias_d, HALF, SOFTPLUS)
        states = states_of(h, rates, u_h, delta_h, B_h, HALF)
        du_h, ddelta_h, dB_h, dC_h = (), (), (), ()
        for i in tl.static_range(HALF - 1, -1, -1):
            u_t, delta_t, dy_t = u_h[i].to(wide), delta_h[i], dy_h[i].to(wide)
            g = carry + dy_t * C_h[i].to(wide)
            carry = tl.exp2(delta_t * rates) * g
            dexponent = carry * states[i]
            dinput = tl.sum(g * B_h[i].to(wide), 1, keep_dims=True)
            dstep = tl.sum(dexponent * rates, 1, keep_dims=True) * LN_2
            du_h = (delta_t * dinput,) + du_h  # noqa: RUF005  # Triton has no starred tuples
            ddelta_t = u_t * dinput + dstep
            if SOFTPLUS:
                ddelta_t *= tl.sigmoid(raw_h[i].to(wide) + bias_d)
                sum_dbias += ddelta_t
            ddelta_h = (ddelta_t,) + ddelta_h  # noqa: RUF005
            dB_h = (tl.sum(g * (delta_t * u_t), 0),) + dB_h  # noqa: RUF005
            dC_h = (tl.sum(dy_t * states[i + 1], 0),) + dC_h  # noqa: RUF005
            sum_dA += delta_t * dexponent
        there = (tl.arange(0, BLOCK_N)[:, None] < N) & (t < L)
        du_sum = joined(du_h, (BLOCK_D, HALF))
        if ADD_DU:
            du_sum += du_before.to(wide)
        tl.store(du + t * du_l, du_sum, in_d & (t < L))
        tl.store(ddelta + t * ddelta_l, joined(ddelta_h, (BLOCK_D, HALF)), in_d & (t < L))
        tl.store(dB + t * N, joined(dB_h, (BLOCK_N, HALF)), there)
        tl.store(dC + t * N, joined(dC_h, (BLOCK_N, HALF)), there)
    row = (b * tl.num_programs(1) + s) * D + d
    tl.store(dA + row * N + n, sum_dA, in_d & in_n)
    if SOFTPLUS:
        tl.store(dbias + row, sum_dbias, in_d)
    if KEEP_END:
        tl.store(ends, carry, in_d & in_n)
