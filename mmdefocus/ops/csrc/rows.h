// Tensors (B, L, D) whose channels are neighbours, read and written row by row.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "simd.h"

// Elements of type S, in memory.
template <typename S>
struct ChannelsLast {
    S* data;
    int64_t batch, time;  // strides in elements

    ChannelsLast(S* data, const int64_t* strides)
        : data(data), batch(strides[0]), time(strides[1]) {}
    S* at(int64_t b, int64_t t) const { return data + b * batch + t * time; }
};

// The work is cut into tasks of neighbouring rows by the shapes alone, so that sums over a task do
// not depend on the number of threads.
struct Tasks {
    int64_t batch, length, channels, rows;  // `rows` of a task
    int threads;

    int64_t per_image() const { return (length + rows - 1) / rows; }
    int64_t number() const { return batch * per_image(); }
};

struct Task {
    int64_t image, first, last;

    Task(const Tasks& tasks, int64_t index)
        : image(index / tasks.per_image()),
          first(index % tasks.per_image() * tasks.rows),
          last(std::min(first + tasks.rows, tasks.length)) {}
};

template <int W, typename S>
__attribute__((noinline)) Row<Wide<S>, W> load_part_of_row(const S* from, int count) {
    using T = Wide<S>;
    constexpr int lanes = Simd<T>::lanes;
    Row<T, W> row{};
    for (int i = 0; i * lanes < count; ++i)
        row.part[i] = load(from + i * lanes, 1, std::min(lanes, count - i * lanes));
    return row;
}

template <int W, typename S, typename T>
__attribute__((noinline)) void store_part_of_row(S* to, int count, const Row<T, W>& row) {
    constexpr int lanes = Simd<T>::lanes;
    for (int i = 0; i * lanes < count; ++i)
        store(to + i * lanes, 1, std::min(lanes, count - i * lanes), row.part[i]);
}

// Loads `count` <= lanes neighbouring channels; the rest is zero.
template <int W = 4, typename S>
MMDEFOCUS_INLINE Row<Wide<S>, W> load_row(const S* from, int count) {
    using T = Wide<S>;
    return count == Row<T, W>::lanes ? load_whole<T, W>(from) : load_part_of_row<W>(from, count);
}

template <int W, typename S, typename T>
MMDEFOCUS_INLINE void store_row(S* to, int count, const Row<T, W>& row) {
    if (count == Row<T, W>::lanes)
        store_whole(to, row);
    else
        store_part_of_row(to, count, row);
}

// Calls f(channel, count) for all channels in [first, last), as many at a time as a row has.
template <typename T, int W = 4, typename F>
inline void for_each_row(int64_t first, int64_t last, F f) {
    constexpr int lanes = Row<T, W>::lanes;
    int64_t c = first;
    for (; c + lanes <= last; c += lanes) f(c, lanes);
    if (c < last) f(c, int(last - c));
}

// 1 / sqrt(mean of x^2 + eps) over the channels [first, last) of a token.
template <int W = 4, typename S, typename T = Wide<S>>
inline T inverse_rms(const S* token, int64_t first, int64_t last, T eps) {
    Row<T, W> squares{};
    for_each_row<T, W>(first, last, [&](int64_t c, int count) {
        const Row<T, W> value = load_row<W>(token + c, count);
        squares = squares + value * value;
    });
    return 1 / std::sqrt(horizontal_sum(squares) / (last - first) + eps);
}
