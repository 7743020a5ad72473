// What a selective scan reads and writes, and how its work is cut.
#pragma once

#include <algorithm>
#include <cstdint>

#include "panels.h"

struct Sizes {
    int64_t batch, channels, length, state;
    int64_t chunk;     // tokens between two kept states
    int64_t groups;    // parts of the channels, a task each
    int64_t norm;      // channels that are normalised together, whole panels; 0 if none are
    int64_t softplus;  // whether the time steps are the softplus of what is given
    int threads;

    int64_t chunks() const { return (length + chunk - 1) / chunk; }
};

struct Chunk {
    int64_t index, first, count;  // `count` tokens from `first` on

    Chunk(const Sizes& sizes, int64_t index)
        : index(index),
          first(index * sizes.chunk),
          count(std::min(sizes.chunk, sizes.length - first)) {}
};

template <typename T>
struct Inputs {
    StridedTensor u, delta;
    const T* delta_bias;  // (D,), added to delta; or null
    const T* A;           // (D, N)
    StridedTensor B, C;
};

// The state where the pass begins and where it ends, (B, D, N) each or null: before the first token
// and after the last in the forward; gradients, after the last and before the first, in the backward.
template <typename T>
struct Ends {
    const T* from;
    T* to;
};

template <typename T>
struct Gradients {
    StridedTensor u, delta;
    T* delta_bias;  // (B, D), to be summed over B; or null
    T* A;           // (B, D, N), to be summed over B
    T *B, *C;       // (groups, B, L, N), to be summed over the groups
};

// The channels of an image in panels, and those in blocks that are finished together.
template <typename T>
struct Cut {
    int64_t panels, width;  // `width` panels in a block
    int64_t groups;

    explicit Cut(const Sizes& sizes)
        : panels((sizes.channels + Row<T>::lanes - 1) / Row<T>::lanes),
          width(sizes.norm ? sizes.norm / Row<T>::lanes : 1),
          groups(sizes.groups) {}

    int64_t first_panel(int64_t group) const { return panels / width * group / groups * width; }
};

// The rows of a block along a chunk, `(width, chunk)`.
template <typename T>
struct Block {
    const Sizes& sizes;
    const Chunk& chunk;
    int64_t image, first, width;  // panels from `first` on
    Row<T>* rows;

    Panel<T> panel(int64_t i) const { return {image, (first + i) * Row<T>::lanes, sizes.channels}; }
    Row<T>& row(int64_t i, int64_t t) const { return rows[i * sizes.chunk + t]; }
};

// Groups [first, last) of the channels of an image, the work of one thread between two others.
struct Groups {
    int64_t image, first, last;
};

// Gives every thread as many neighbouring groups as it can have: the longer a piece of a row, the
// better it streams from memory.
template <typename F>
void for_each_groups(const Sizes& sizes, F f) {
    const int64_t all = sizes.batch * sizes.groups;
#pragma omp parallel for num_threads(sizes.threads) schedule(static) if (sizes.threads > 1)
    for (int thread = 0; thread < sizes.threads; ++thread) {
        const int64_t last = all * (thread + 1) / sizes.threads;
        for (int64_t next, i = all * thread / sizes.threads; i < last; i = next) {
            const int64_t image = i / sizes.groups, before = image * sizes.groups;
            next = std::min(last, before + sizes.groups);
            f(Groups{image, i - before, next - before});
        }
    }
}
