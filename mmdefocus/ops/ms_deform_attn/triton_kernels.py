"""The kernels of deformable attention: `S`, `H`, `C`, `Q`, `N`, `P` are its sizes, N its levels.

Locations, weights and sums are wide. Point i of the flat `(B, Q, H, N, P)` belongs to row
i // (N P) of the flat `(B, Q, H)`. A cell is the square between four pixels; it is numbered by the
one at its top left, from row and column -1 on, so a level of h by w pixels has (h + 1) (w + 1).
"""

import triton
import triton.language as tl


@triton.jit
def split(location, size):
    """Returns the pixel before a location and the way from there, see ../csrc of the CPU."""
    place = location * size - 0.5
    inside = tl.where(place > -2, place, -2.0)
    inside = tl.where(inside < size, inside, size.to(location.dtype))
    before = tl.floor(inside)
    return before.to(tl.int32), inside - before + (place - place)


@triton.jit
def read(value, start, column, row, width, height, S, H, C, c, inside):
    """Reads a pixel of each query, `(queries, C)`; zeros outside."""
    pixel = start + row * width + column
    inside &= (column >= 0) & (column < width) & (row >= 0) & (row < height) & (pixel < S)
    place = value + pixel.to(tl.int64)[:, None] * H * C + c[None, :]
    return tl.load(place, inside[:, None] & (c < C)[None, :], 0)


@triton.jit
def size_of(shapes, level):
    """Returns height and width of a level in pixels."""
    at = shapes + 2 * level
    return tl.load(at).to(tl.int32), tl.load(at + 1).to(tl.int32)


@triton.jit
def point_at(locations, weights, point, inside, width, height):
    """Returns the weight of a point of each query, and its pixel and fraction in x and in y."""
    weight = tl.load(weights + point, inside, 0)
    column, x = split(tl.load(locations + 2 * point, inside, 0), width)
    row, y = split(tl.load(locations + 2 * point + 1, inside, 0), height)
    return weight, column, x, row, y


@triton.jit
def attend(
    value, shapes, locations, weights, out, S, H, C, Q, N, P,
    BLOCK_Q: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Some channels of a head of a block of queries."""
    wide = locations.dtype.element_ty
    q = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    h = tl.program_id(1) % H
    c = tl.program_id(1) // H * BLOCK_C + tl.arange(0, BLOCK_C)
    b = tl.program_id(2).to(tl.int64)
    rows = (b * Q + q) * H + h
    value += (b * S * H + h) * C
    sums = tl.zeros((BLOCK_Q, BLOCK_C), wide)
    start = 0
    for level in range(N):
        height, width = size_of(shapes, level)
        for p in range(P):
            point = (rows * N + level) * P + p
            weight, column, x, row, y = point_at(locations, weights, point, q < Q, width, height)
            for k in tl.static_range(4):
                share = weight * (x if k % 2 else 1 - x) * (y if k // 2 else 1 - y)
                found = read(
                    value, start, column + k % 2, row + k // 2, width, height, S, H, C, c, q < Q
                )
                sums += share[:, None] * found.to(wide)
        start += height * width
    tl.store(out + rows[:, None] * C + c[None, :], sums, (q < Q)[:, None] & (c < C)[None, :])


@triton.jit
def point_gradients(
    value, shapes, locations, weights, dout, dlocations, dweights, cells,
    S, H, C, Q, N, P, CELLS,
    BLOCK_Q: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Gradients of the points of a block of queries of a head, and the cell of each point.

    The cells of a head are fewer than `CELLS`; points outside all are in the last one of the batch.
    """
    wide = locations.dtype.element_ty
    q = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    h = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    rows = (b * Q + q) * H + h
    value += (b * S * H + h) * C
    start = 0
    first_cell = (b * H + h) * CELLS
    for level in range(N):
        height, width = size_of(shapes, level)
        for p in range(P):
            point = (rows * N + level) * P + p
            weight, column, x, row, y = point_at(locations, weights, point, q < Q, width, height)
            along_x = tl.zeros((BLOCK_Q,), wide)
            along_y = tl.zeros((BLOCK_Q,), wide)
            all_ = tl.zeros((BLOCK_Q,), wide)
            for block in range(0, C, BLOCK_C):
                c = block + tl.arange(0, BLOCK_C)
                inside = (q < Q)[:, None] & (c < C)[None, :]
                grad = tl.load(dout + rows[:, None] * C + c[None, :], inside, 0).to(wide)
                for k in tl.static_range(4):
                    found = read(
                        value, start, column + k % 2, row + k // 2, width, height, S, H, C, c, q < Q
                    )
                    dot = tl.sum(grad * found.to(wide), 1)
                    in_x = x if k % 2 else 1 - x
                    in_y = y if k // 2 else 1 - y
                    all_ += dot * in_x * in_y
                    along_x += dot * in_y * (1 if k % 2 else -1)
                    along_y += dot * in_x * (1 if k // 2 else -1)
            tl.store(dweights + point, all_, q < Q)
            tl.store(dlocations + 2 * point, weight * width * along_x, q < Q)
            tl.store(dlocations + 2 * point + 1, weight * height * along_y, q < Q)
            touches = (column >= -1) & (column < width) & (row >= -1) & (row < height)
            cell = first_cell + (row + 1) * (width + 1) + column + 1
            last = tl.num_programs(2).to(tl.int64) * H * CELLS
            tl.store(cells + point, tl.where(touches, cell, last), q < Q)
        start += height * width
        first_cell += (height + 1) * (width + 1)


@triton.jit
def value_gradients(
    shapes, locations, weights, dout, order, starts, dvalue, S, H, C, N, P, CELLS,
    BLOCK: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Some channels of one pixel: the sum over the points in the four cells that it is a corner of.

    `order` has the points by cell, `starts` where the points of each cell begin in it.
    """
    wide = locations.dtype.element_ty
    pixel = tl.program_id(0)
    h = tl.program_id(1) % H
    c = tl.program_id(1) // H * BLOCK_C + tl.arange(0, BLOCK_C)
    b = tl.program_id(2).to(tl.int64)
    start = 0
    cells = (b * H + h) * CELLS
    height = 0
    width = 0
    begin = 0
    first_cell = cells
    for level in range(N):
        level_height = tl.load(shapes + 2 * level).to(tl.int32)
        level_width = tl.load(shapes + 2 * level + 1).to(tl.int32)
        here = (pixel >= start) & (pixel < start + level_height * level_width)
        height = tl.where(here, level_height, height)
        width = tl.where(here, level_width, width)
        begin = tl.where(here, start, begin)
        first_cell = tl.where(here, cells, first_cell)
        start += level_height * level_width
        cells += (level_height + 1) * (level_width + 1)
    row = (pixel - begin) // tl.maximum(width, 1)
    column = (pixel - begin) % tl.maximum(width, 1)
    sums = tl.zeros((BLOCK_C,), wide)
    for k in tl.static_range(4):  # the pixel is top left, top right, bottom left, bottom right
        cell = first_cell + (row + 1 - k // 2) * (width + 1) + column + 1 - k % 2
        end = tl.load(starts + cell + 1)
        for i in range(tl.load(starts + cell), tl.where(width > 0, end, 0), BLOCK):
            place = i + tl.arange(0, BLOCK)
            point = tl.load(order + place, place < end, 0)
            _, x = split(tl.load(locations + 2 * point, place < end, 0), width)
            _, y = split(tl.load(locations + 2 * point + 1, place < end, 0), height)
            share = tl.load(weights + point, place < end, 0)
            share *= (x if k % 2 else 1 - x) * (y if k // 2 else 1 - y)
            inside = (place < end)[:, None] & (c < C)[None, :]
            grad = tl.load(dout + (point // (N * P))[:, None] * C + c[None, :], inside, 0)
            sums += tl.sum(tl.where(inside, share[:, None] * grad.to(wide), 0), 0)
    tl.store(dvalue + ((b * S + pixel) * H + h) * C + c, sums, c < C)
