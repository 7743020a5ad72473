// The selective scan on a CPU: sequential in time, parallel over channels. The mathematics, what is
// kept and why the result does not depend on the number of threads is in ../README.md.

#include <cstdint>
#include <vector>

#include "simd.h"

namespace {

// A tensor (B, D, L) or (B, N, L) with the strides of its dimensions in elements.
template <typename T>
struct Sequence {
    T* data;
    int64_t batch, channel, time;

    T* at(int64_t b, int64_t c, int64_t t) const {
        return data + b * batch + c * channel + t * time;
    }

    // Rows lie pages apart, where the hardware does not look ahead. A hint never faults, so the ends
    // of the sequence need no care.
    void prefetch(int64_t b, int64_t c, int64_t t) const {
        __builtin_prefetch(reinterpret_cast<const void*>(
            reinterpret_cast<uintptr_t>(data) + (b * batch + c * channel + t * time) * sizeof(T)));
    }
};

constexpr int64_t prefetch_distance = 8;  // tokens

struct Sizes {
    int64_t batch, channels, length, state;
    int64_t chunk;   // tokens between two kept states
    int64_t groups;  // parts of the channels whose shares of dB and dC are summed apart
    int threads;

    int64_t chunks() const { return (length + chunk - 1) / chunk; }
};

// A block is as many channels as a vector has lanes; the last one may be smaller.
template <typename T>
struct Block {
    static constexpr int lanes = Simd<T>::lanes;
    int64_t index, first;
    int count;

    Block(const Sizes& sizes, int64_t index) : index(index), first(index * lanes) {
        const int64_t left = sizes.channels - first;
        count = left < lanes ? int(left) : lanes;
    }
    static int64_t number(const Sizes& sizes) { return (sizes.channels + lanes - 1) / lanes; }
};

// N is the state size if it is known to the compiler, else 0.
template <typename T, int N>
void forward_block(const Sizes& sizes, int64_t b, int64_t block_index, Sequence<const T> u,
                   Sequence<const T> delta, const T* A, Sequence<const T> B, Sequence<const T> C,
                   Sequence<T> y, Vec<T>* kept) {
    const int64_t states = N ? N : sizes.state;
    const Block<T> block(sizes, block_index);
    std::vector<Vec<T>> heap(N ? 0 : 2 * states);
    Vec<T> fixed[N ? 2 * N : 1];
    Vec<T>* h = N ? fixed : heap.data();
    Vec<T>* rate = h + states;
    for (int64_t n = 0; n < states; ++n) {
        h[n] = Vec<T>{};
        rate[n] = load(A + block.first * states + n, states, block.count);
    }
    for (int64_t t = 0; t < sizes.length; ++t) {
        if (t % sizes.chunk == 0)
            for (int64_t n = 0; n < states; ++n) *kept++ = h[n];
        u.prefetch(b, block.first, t + prefetch_distance);
        delta.prefetch(b, block.first, t + prefetch_distance);
        y.prefetch(b, block.first, t + prefetch_distance);
        const Vec<T> d = load(delta.at(b, block.first, t), delta.channel, block.count);
        const Vec<T> input = d * load(u.at(b, block.first, t), u.channel, block.count);
        const T* B_t = B.at(b, 0, t);
        const T* C_t = C.at(b, 0, t);
        Vec<T> out{};
        for (int64_t n = 0; n < states; ++n) {
            h[n] = vexp<T>(d * rate[n]) * h[n] + input * B_t[n * B.channel];
            out += h[n] * C_t[n * C.channel];
        }
        store(y.at(b, block.first, t), y.channel, block.count, out);
    }
}

// Working memory of one thread: decays and states of a chunk, and the shares of dB and dC of the
// chunk, still one a lane.
template <typename T>
struct Scratch {
    std::vector<Vec<T>> decay, h, dB, dC;

    explicit Scratch(const Sizes& sizes)
        : decay(sizes.chunk * sizes.state),
          h((sizes.chunk + 1) * sizes.state),
          dB(sizes.chunk * sizes.state),
          dC(sizes.chunk * sizes.state) {}
};

template <typename T>
struct Gradients {
    Sequence<T> u, delta;
    T* A;        // (B, D, N), to be summed over B
    T *B, *C;    // (groups, B, L, N), to be summed over the groups
};

template <typename T, int N>
void backward_chunk(const Sizes& sizes, int64_t b, const Block<T>& block, int64_t start,
                    int64_t stop, Sequence<const T> u, Sequence<const T> delta, const Vec<T>* rate,
                    Sequence<const T> B, Sequence<const T> C, Sequence<const T> dy,
                    const Vec<T>* kept, const Gradients<T>& grad, Vec<T>* carry, Vec<T>* dA,
                    Scratch<T>& scratch) {
    const int64_t states = N ? N : sizes.state;
    Vec<T>* h = scratch.h.data();
    for (int64_t n = 0; n < states; ++n) h[n] = kept[n];
    for (int64_t t = start; t < stop; ++t, h += states) {
        u.prefetch(b, block.first, t + prefetch_distance);
        delta.prefetch(b, block.first, t + prefetch_distance);
        dy.prefetch(b, block.first, t);
        const Vec<T> d = load(delta.at(b, block.first, t), delta.channel, block.count);
        const Vec<T> input = d * load(u.at(b, block.first, t), u.channel, block.count);
        const T* B_t = B.at(b, 0, t);
        Vec<T>* decay = scratch.decay.data() + (t - start) * states;
        for (int64_t n = 0; n < states; ++n) {
            decay[n] = vexp<T>(d * rate[n]);
            h[states + n] = decay[n] * h[n] + input * B_t[n * B.channel];
        }
    }
    for (int64_t t = stop - 1; t >= start; --t) {
        h -= states;
        grad.u.prefetch(b, block.first, t - prefetch_distance);
        grad.delta.prefetch(b, block.first, t - prefetch_distance);
        const int64_t offset = (t - start) * states;
        const Vec<T>* decay = scratch.decay.data() + offset;
        Vec<T>* dB = scratch.dB.data() + offset;
        Vec<T>* dC = scratch.dC.data() + offset;
        const Vec<T> d = load(delta.at(b, block.first, t), delta.channel, block.count);
        const Vec<T> x = load(u.at(b, block.first, t), u.channel, block.count);
        const Vec<T> g = load(dy.at(b, block.first, t), dy.channel, block.count);
        const Vec<T> input = d * x;
        const T* B_t = B.at(b, 0, t);
        const T* C_t = C.at(b, 0, t);
        Vec<T> dinput{}, ddelta{};
        for (int64_t n = 0; n < states; ++n) {
            dC[n] += g * h[states + n];
            const Vec<T> dh = carry[n] + g * C_t[n * C.channel];
            dB[n] += dh * input;
            dinput += dh * B_t[n * B.channel];
            carry[n] = dh * decay[n];
            const Vec<T> dexponent = carry[n] * h[n];
            dA[n] += dexponent * d;
            ddelta += dexponent * rate[n];
        }
        store(grad.u.at(b, block.first, t), grad.u.channel, block.count, dinput * d);
        store(grad.delta.at(b, block.first, t), grad.delta.channel, block.count,
              ddelta + dinput * x);
    }
}

template <typename T, int N>
void backward_group(const Sizes& sizes, int64_t b, int64_t group, Sequence<const T> u,
                    Sequence<const T> delta, const T* A, Sequence<const T> B, Sequence<const T> C,
                    Sequence<const T> dy, const Vec<T>* kept, const Gradients<T>& grad) {
    const int64_t states = N ? N : sizes.state;
    const int64_t blocks = Block<T>::number(sizes);
    const int64_t first = blocks * group / sizes.groups, last = blocks * (group + 1) / sizes.groups;
    Scratch<T> scratch(sizes);
    std::vector<Vec<T>> carry((last - first) * states), dA(carry.size()), rate(carry.size());
    for (int64_t i = first; i < last; ++i) {
        const Block<T> block(sizes, i);
        for (int64_t n = 0; n < states; ++n)
            rate[(i - first) * states + n] =
                load(A + block.first * states + n, states, block.count);
    }
    for (int64_t c = sizes.chunks() - 1; c >= 0; --c) {
        const int64_t start = c * sizes.chunk;
        const int64_t stop = start + sizes.chunk < sizes.length ? start + sizes.chunk : sizes.length;
        for (int64_t i = 0; i < (stop - start) * states; ++i) scratch.dB[i] = scratch.dC[i] = Vec<T>{};
        for (int64_t i = first; i < last; ++i) {
            const int64_t offset = (i - first) * states;
            backward_chunk<T, N>(sizes, b, Block<T>(sizes, i), start, stop, u, delta,
                                 rate.data() + offset, B, C, dy,
                                 kept + ((b * blocks + i) * sizes.chunks() + c) * states, grad,
                                 carry.data() + offset, dA.data() + offset, scratch);
        }
        const int64_t share = ((group * sizes.batch + b) * sizes.length + start) * states;
        for (int64_t i = 0; i < (stop - start) * states; ++i) {
            grad.B[share + i] = horizontal_sum<T>(scratch.dB[i]);
            grad.C[share + i] = horizontal_sum<T>(scratch.dC[i]);
        }
    }
    for (int64_t i = first; i < last; ++i) {
        const Block<T> block(sizes, i);
        T* dA_block = grad.A + (b * sizes.channels + block.first) * states;
        for (int64_t n = 0; n < states; ++n)
            store(dA_block + n, states, block.count, dA[(i - first) * states + n]);
    }
}

template <typename T, int N>
void forward(const Sizes& sizes, Sequence<const T> u, Sequence<const T> delta, const T* A,
             Sequence<const T> B, Sequence<const T> C, Sequence<T> y, T* kept) {
    const int64_t blocks = Block<T>::number(sizes);
    const int64_t kept_per_block = sizes.chunks() * sizes.state;
#pragma omp parallel for num_threads(sizes.threads) schedule(static) if (sizes.threads > 1)
    for (int64_t i = 0; i < sizes.batch * blocks; ++i)
        forward_block<T, N>(sizes, i / blocks, i % blocks, u, delta, A, B, C, y,
                            reinterpret_cast<Vec<T>*>(kept) + i * kept_per_block);
}

template <typename T, int N>
void backward(const Sizes& sizes, Sequence<const T> u, Sequence<const T> delta, const T* A,
              Sequence<const T> B, Sequence<const T> C, Sequence<const T> dy, const T* kept,
              const Gradients<T>& grad) {
#pragma omp parallel for num_threads(sizes.threads) schedule(static) if (sizes.threads > 1)
    for (int64_t i = 0; i < sizes.batch * sizes.groups; ++i)
        backward_group<T, N>(sizes, i / sizes.groups, i % sizes.groups, u, delta, A, B, C, dy,
                             reinterpret_cast<const Vec<T>*>(kept), grad);
}

template <typename T>
Sequence<T> sequence(T* data, const int64_t* strides) {
    return {data, strides[0], strides[1], strides[2]};
}

template <typename T>
void forward_any(const Sizes* s, const T* u, const int64_t* u_strides, const T* delta,
                 const int64_t* delta_strides, const T* A, const T* B, const int64_t* B_strides,
                 const T* C, const int64_t* C_strides, T* y, const int64_t* y_strides, T* kept) {
    const auto run = s->state == 16 ? forward<T, 16> : s->state == 8 ? forward<T, 8> : forward<T, 0>;
    run(*s, sequence(u, u_strides), sequence(delta, delta_strides), A, sequence(B, B_strides),
        sequence(C, C_strides), sequence(y, y_strides), kept);
}

template <typename T>
void backward_any(const Sizes* s, const T* u, const int64_t* u_strides, const T* delta,
                  const int64_t* delta_strides, const T* A, const T* B, const int64_t* B_strides,
                  const T* C, const int64_t* C_strides, const T* dy, const int64_t* dy_strides,
                  const T* kept, T* du, const int64_t* du_strides, T* ddelta,
                  const int64_t* ddelta_strides, T* dA, T* dB, T* dC) {
    const auto run =
        s->state == 16 ? backward<T, 16> : s->state == 8 ? backward<T, 8> : backward<T, 0>;
    run(*s, sequence(u, u_strides), sequence(delta, delta_strides), A, sequence(B, B_strides),
        sequence(C, C_strides), sequence(dy, dy_strides), kept,
        Gradients<T>{sequence(du, du_strides), sequence(ddelta, ddelta_strides), dA, dB, dC});
}

}  // namespace

#define MMDEFOCUS_SCAN(T, SUFFIX)                                                                 \
    extern "C" void selective_scan_forward_##SUFFIX(                                              \
        const Sizes* s, const T* u, const int64_t* us, const T* d, const int64_t* ds, const T* A, \
        const T* B, const int64_t* Bs, const T* C, const int64_t* Cs, T* y, const int64_t* ys,    \
        T* kept) {                                                                                \
        forward_any<T>(s, u, us, d, ds, A, B, Bs, C, Cs, y, ys, kept);                            \
    }                                                                                             \
    extern "C" void selective_scan_backward_##SUFFIX(                                             \
        const Sizes* s, const T* u, const int64_t* us, const T* d, const int64_t* ds, const T* A, \
        const T* B, const int64_t* Bs, const T* C, const int64_t* Cs, const T* dy,                \
        const int64_t* dys, const T* kept, T* du, const int64_t* dus, T* dd, const int64_t* dds,  \
        T* dA, T* dB, T* dC) {                                                                    \
        backward_any<T>(s, u, us, d, ds, A, B, Bs, C, Cs, dy, dys, kept, du, dus, dd, dds, dA,    \
                        dB, dC);                                                                  \
    }

MMDEFOCUS_SCAN(float, float)
MMDEFOCUS_SCAN(double, double)
