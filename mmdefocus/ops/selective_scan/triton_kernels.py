"""The kernels of the selective scan: `L`, `D` and `N` are its sizes, `x_b` is a stride of `x`.

Two layouts of a program's states: `(N, D)` puts a channel in each thread, so that sums over the
states need no other thread; `(D, N)` spreads both over a warp, so that sums over channels are short
too. Where tokens, channels or states end, zeros are read: they change neither state nor sums.
"""

import triton
import triton.language as tl

CHUNK = tl.constexpr(16)  # tokens between two kept states
HALF = tl.constexpr(8)  # tokens whose states the backward holds at once
LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def scan_from_zero(
    x, weight, delta, A, ends, steps,
    L, D, N, segment,
    x_b, x_d, x_l, weight_b, weight_n, weight_l, delta_b, delta_d, delta_l, A_d, A_n,
    ends_b, ends_s, ends_d, ends_n,
    REVERSE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Scans each segment from 0: `h = a h + delta x weight`, or in reverse `h = a (h + x weight)`.

    Writes the last states, ends `(B, S, D, N)`, and the sums of delta, steps `(B, S, D)`.
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
    h = tl.zeros((BLOCK_N, BLOCK_D), wide)
    total = tl.zeros((1, BLOCK_D), wide)
    first = s * segment
    stop = tl.minimum(first + segment, L)
    for done in range(0, stop - first, CHUNK):
        for i in tl.static_range(CHUNK):
            t = stop - 1 - done - i if REVERSE else first + done + i
            in_t = (t >= first) & (t < stop)
            x_t = tl.load(x + t * x_l, in_t & (d < D), 0).to(wide)
            weight_t = tl.load(weight + t * weight_l, in_t & (n < N), 0).to(wide)
            delta_t = tl.load(delta + t * delta_l, in_t & (d < D), 0).to(wide)
            if REVERSE:
                h = tl.exp2(delta_t * rates) * (h + x_t * weight_t)
            else:
                h = tl.exp2(delta_t * rates) * h + delta_t * x_t * weight_t
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
    u, delta, A, B, C, starts, y, kept,
    L, D, N, segment, chunks,
    u_b, u_d, u_l, delta_b, delta_d, delta_l, A_d, A_n, B_b, B_n, B_l, C_b, C_n, C_l,
    starts_b, starts_s, starts_d, starts_n, y_b, y_d, y_l,
    KEEP_END: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Scans each segment from its state in `starts`; keeps the state before each chunk.

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
    B += b * B_b + n * B_n
    C += b * C_b + n * C_n
    y += b * y_b + d * y_d
    starts += b * starts_b + s * starts_s + d * starts_d + n * starts_n
    h = tl.load(starts, inside, 0)
    for start in range(s * segment, tl.minimum((s + 1) * segment, L), CHUNK):
        tl.store(kept + (b * chunks + start // CHUNK) * D * N + d * N + n, h, inside)
        for i in tl.static_range(CHUNK):
            t = start + i
            u_t = tl.load(u + t * u_l, (t < L) & (d < D), 0).to(wide)
            delta_t = tl.load(delta + t * delta_l, (t < L) & (d < D), 0).to(wide)
            B_t = tl.load(B + t * B_l, (t < L) & (n < N), 0).to(wide)
            C_t = tl.load(C + t * C_l, (t < L) & (n < N), 0).to(wide)
            h = tl.exp2(delta_t * rates) * h + delta_t * u_t * B_t
            y_t = tl.sum(h * C_t, 0, keep_dims=True)
            tl.store(y + t * y_l, y_t, (t < L) & (d < D))
    if KEEP_END:
        tl.store(starts, h, inside)


@triton.jit
def scan_backward(
    u, delta, A, B, C, dy, kept, ends, du, ddelta, dA, dB, dC,
    L, D, N, segment, chunks,
    u_b, u_d, u_l, delta_b, delta_d, delta_l, A_d, A_n, B_b, B_n, B_l, C_b, C_n, C_l,
    dy_b, dy_d, dy_l, ends_b, ends_s, ends_d, ends_n,
    du_b, du_d, du_l, ddelta_b, ddelta_d, ddelta_l,
    KEEP_END: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Goes back through each segment from the gradient in `ends`, half a chunk at a time.

    The states in a half are computed again from the kept one and held in registers. Writes partial
    sums, dA `(B S, D, N)` of a segment, dB and dC `(blocks of D, B, L, N)` of a block. To keep the
    end, the gradient before the segment takes the place of the one after it.
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
    B += b * B_b + n * B_n
    C += b * C_b + n * C_n
    dy += b * dy_b + d * dy_d
    du += b * du_b + d * du_d
    ddelta += b * ddelta_b + d * ddelta_d
    dB += (tl.program_id(0) * tl.num_programs(2) + b) * L * N + n
    dC += (tl.program_id(0) * tl.num_programs(2) + b) * L * N + n
    kept += b * chunks * D * N + d * N + n
    ends += b * ends_b + s * ends_s + d * ends_d + n * ends_n
    carry = tl.load(ends, in_d & in_n, 0)
    sum_dA = tl.zeros((BLOCK_D, BLOCK_N), wide)
    first_half = s * (segment // HALF)
    stop_half = tl.cdiv(tl.minimum((s + 1) * segment, L), HALF)
    for done in range(stop_half - first_half):
        start = (stop_half - 1 - done) * HALF
        chunk = start // CHUNK
        h = tl.load(kept + chunk.to(tl.int64) * D * N, in_d & in_n, 0)
        for t in range(chunk * CHUNK, start):
            u_t = tl.load(u + t * u_l, in_d, 0).to(wide)
            delta_t = tl.load(delta + t * delta_l, in_d, 0).to(wide)
            B_t = tl.load(B + t * B_l, in_n, 0).to(wide)
            h = tl.exp2(delta_t * rates) * h + delta_t * u_t * B_t
        before = ()
        for i in tl.static_range(HALF):
            t = start + i
            before += (h,)  # type: ignore[assignment]  # it grows as the loop is unrolled
            u_t = tl.load(u + t * u_l, in_d & (t < L), 0).to(wide)
            delta_t = tl.load(delta + t * delta_l, in_d & (t < L), 0).to(wide)
            dy_t = tl.load(dy + t * dy_l, in_d & (t < L), 0).to(wide)
            B_t = tl.load(B + t * B_l, in_n & (t < L), 0).to(wide)
            h = tl.exp2(delta_t * rates) * h + delta_t * u_t * B_t
            dC_t = tl.sum(dy_t * h, 0, keep_dims=True)
            tl.store(dC + t * N, dC_t, in_n & (t < L))
        for i in tl.static_range(HALF):
            t = start + HALF - 1 - i
            u_t = tl.load(u + t * u_l, in_d & (t < L), 0).to(wide)
            delta_t = tl.load(delta + t * delta_l, in_d & (t < L), 0).to(wide)
            dy_t = tl.load(dy + t * dy_l, in_d & (t < L), 0).to(wide)
            B_t = tl.load(B + t * B_l, in_n & (t < L), 0).to(wide)
            C_t = tl.load(C + t * C_l, in_n & (t < L), 0).to(wide)
            g = carry + dy_t * C_t
            carry = tl.exp2(delta_t * rates) * g
            dexponent = carry * before[HALF - 1 - i]
            dinput = tl.sum(g * B_t, 1, keep_dims=True)
            dstep = tl.sum(dexponent * rates, 1, keep_dims=True) * LN_2
            dB_t = tl.sum(g * (delta_t * u_t), 0, keep_dims=True)
            tl.store(du + t * du_l, delta_t * dinput, in_d & (t < L))
            tl.store(ddelta + t * ddelta_l, u_t * dinput + dstep, in_d & (t < L))
            tl.store(dB + t * N, dB_t, in_n & (t < L))
            sum_dA += delta_t * dexponent
    place = (b * tl.num_programs(1) + s) * D * N + d * N + n
    tl.store(dA + place, sum_dA, in_d & in_n)
    if KEEP_END:
        tl.store(ends, carry, in_d & in_n)
