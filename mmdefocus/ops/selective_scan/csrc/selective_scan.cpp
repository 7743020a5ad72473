// The selective scan on a CPU: sequential in time, parallel over channels. The mathematics, what is
// kept and why the result does not depend on the number of threads is in ../README.md.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "panels.h"

namespace {

struct Sizes {
    int64_t batch, channels, length, state;
    int64_t chunk;   // tokens between two kept states
    int64_t groups;  // parts of the channels, a task each
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
    Sequence u, delta;
    const T* A;  // (D, N)
    Sequence B, C;
};

template <typename T>
struct Gradients {
    Sequence u, delta;
    T* A;      // (B, D, N), to be summed over B
    T *B, *C;  // (groups, B, L, N), to be summed over the groups
};

// Groups [first, last) of the channels of an image, the work of one thread between two others.
struct Groups {
    int64_t image, first, last;
};

// Goes through the sequence chunk after chunk, and in a chunk panel after panel. What a panel needs
// in a chunk fits into the nearest caches.
template <typename T>
class Scan {
public:
    Scan(const Sizes& sizes, const Inputs<T>& in, Row<T>* kept, const Groups& groups)
        : sizes(sizes),
          in(in),
          kept(kept),
          image(groups.image),
          groups(groups),
          first(first_panel(groups.first)),
          last(first_panel(groups.last)),
          B(sizes.chunk * sizes.state),
          C(sizes.chunk * sizes.state),
          rate((last - first) * sizes.state),
          state((last - first) * sizes.state),
          u(sizes.chunk),
          delta(sizes.chunk),
          input(sizes.chunk),
          sum(sizes.chunk) {
        for (int64_t p = first; p < last; ++p)
            for (int64_t n = 0; n < sizes.state; ++n)
                panel(p).for_each_part([&](int i, int64_t c, int count) {
                    rate[of_panel(p) + n].part[i] =
                        load(in.A + c * sizes.state + n, sizes.state, count) * Simd<T>::log2_e;
                });
    }

    void forward(const Sequence& y) {
        for (int64_t index = 0; index < sizes.chunks(); ++index) {
            const Chunk chunk(sizes, index);
            load_projections(chunk);
            for (int64_t p = first; p < last; ++p) {
                load_rows(chunk, panel(p));
                if (kept) std::copy_n(&state[of_panel(p)], sizes.state, kept_at(chunk, p));
                for (int64_t n = 0; n < sizes.state; ++n) {
                    prefetch(chunk, p, n, 1, {in.u, in.delta, y});
                    forward_state(chunk, p, n);
                }
                for (int64_t t = 0; t < chunk.count; ++t)
                    panel(p).store(y, chunk.first + t, sum[t]);
            }
        }
    }

    void backward(const Sequence& dy, const Gradients<T>& grad) {
        Tape tape(sizes, last - first);
        for (int64_t index = sizes.chunks() - 1; index >= 0; --index) {
            const Chunk chunk(sizes, index);
            load_projections(chunk);
            for (int64_t group = groups.first; group < groups.last; ++group)
                backward_group(chunk, group, dy, tape, grad);
        }
        for (int64_t p = first; p < last; ++p)
            for (int64_t n = 0; n < sizes.state; ++n)
                panel(p).for_each_part([&](int i, int64_t c, int count) {
                    store(grad.A + (image * sizes.channels + c) * sizes.state + n, sizes.state,
                          count, tape.dA[of_panel(p) + n].part[i]);
                });
    }

private:
    // What the backward alone needs: decays and states before each token of one n along a chunk,
    // sums for its rows, shares of dB and dC, (N, chunk), still one a lane.
    struct Tape {
        std::vector<Row<T>> dy, decay, h, ddelta, dA;
        std::vector<Vec<T>> dB, dC;

        Tape(const Sizes& sizes, int64_t panels)
            : dy(sizes.chunk),
              decay(sizes.chunk),
              h(sizes.chunk),
              ddelta(sizes.chunk),
              dA(panels * sizes.state),
              dB(sizes.chunk * sizes.state),
              dC(sizes.chunk * sizes.state) {}
    };

    int64_t panels() const { return (sizes.channels + Row<T>::lanes - 1) / Row<T>::lanes; }
    int64_t first_panel(int64_t group) const { return panels() * group / sizes.groups; }
    int64_t of_panel(int64_t p) const { return (p - first) * sizes.state; }
    Panel<T> panel(int64_t p) const { return {image, p * Row<T>::lanes, sizes.channels}; }

    // The states of a panel before a chunk, (N,).
    Row<T>* kept_at(const Chunk& chunk, int64_t p) const {
        return kept + ((image * sizes.chunks() + chunk.index) * panels() + p) * sizes.state;
    }

    void load_projections(const Chunk& chunk) {
        load_projection(chunk, in.B, B);
        load_projection(chunk, in.C, C);
    }

    void load_projection(const Chunk& chunk, const Sequence& from, std::vector<T>& to) const {
        with_element_type<T>(from, [&](auto element) {
            for (int64_t t = 0; t < chunk.count; ++t)
                for (int64_t n = 0; n < sizes.state; ++n)
                    to[n * sizes.chunk + t] =
                        T(*from.at<const decltype(element)>(image, n, chunk.first + t));
        });
    }

    void load_rows(const Chunk& chunk, const Panel<T>& panel) {
        for (int64_t t = 0; t < chunk.count; ++t) {
            delta[t] = panel.load(in.delta, chunk.first + t);
            u[t] = panel.load(in.u, chunk.first + t);
            input[t] = delta[t] * u[t];
            sum[t] = Row<T>{};
        }
    }

    // Spreads the hints for the next panel, or that of the next chunk, over the states.
    void prefetch(const Chunk& chunk, int64_t p, int64_t n, int step,
                  std::initializer_list<Sequence> sequences) const {
        const bool same_chunk = p + 1 < last;
        const int64_t index = same_chunk ? chunk.index : chunk.index + step;
        if (index < 0 || index >= sizes.chunks()) return;
        const Chunk next(sizes, index);
        for (int64_t t = n; t < next.count; t += sizes.state)
            for (const Sequence& sequence : sequences)
                panel(same_chunk ? p + 1 : first).prefetch(sequence, next.first + t);
    }

    void forward_state(const Chunk& chunk, int64_t p, int64_t n) {
        const Row<T> a = rate[of_panel(p) + n];
        Row<T> h = state[of_panel(p) + n];
        const T *B_n = B.data() + n * sizes.chunk, *C_n = C.data() + n * sizes.chunk;
        const Row<T> *d = delta.data(), *x = input.data();
        Row<T>* y = sum.data();
        for (int64_t t = 0; t < chunk.count; ++t) {
            h = vexp2(d[t] * a) * h + x[t] * B_n[t];
            y[t] = y[t] + h * C_n[t];
        }
        state[of_panel(p) + n] = h;
    }

    void backward_group(const Chunk& chunk, int64_t group, const Sequence& dy, Tape& tape,
                        const Gradients<T>& grad) {
        std::fill(tape.dB.begin(), tape.dB.end(), Vec<T>{});
        std::fill(tape.dC.begin(), tape.dC.end(), Vec<T>{});
        for (int64_t p = first_panel(group); p < first_panel(group + 1); ++p) {
            load_rows(chunk, panel(p));
            for (int64_t t = 0; t < chunk.count; ++t) {
                tape.dy[t] = panel(p).load(dy, chunk.first + t);
                tape.ddelta[t] = Row<T>{};
            }
            for (int64_t n = 0; n < sizes.state; ++n) {
                prefetch(chunk, p, n, -1, {in.u, in.delta, dy, grad.u, grad.delta});
                backward_state(chunk, p, n, recompute_state(chunk, p, n, tape), tape);
            }
            store_gradients(chunk, panel(p), tape, grad);
        }
        store_shares(chunk, group, tape.dB, grad.B);
        store_shares(chunk, group, tape.dC, grad.C);
    }

    // Returns the state after the chunk.
    Row<T> recompute_state(const Chunk& chunk, int64_t p, int64_t n, Tape& tape) const {
        const Row<T> a = rate[of_panel(p) + n];
        const T* B_n = B.data() + n * sizes.chunk;
        const Row<T> *d = delta.data(), *x = input.data();
        Row<T> *decay = tape.decay.data(), *states = tape.h.data();
        Row<T> h = kept_at(chunk, p)[n];
        for (int64_t t = 0; t < chunk.count; ++t) {
            states[t] = h;
            decay[t] = vexp2(d[t] * a);
            h = decay[t] * h + x[t] * B_n[t];
        }
        return h;
    }

    // `state` carries a_{t+1} g_{t+1} here, `sum` collects the gradient of delta u.
    void backward_state(const Chunk& chunk, int64_t p, int64_t n, Row<T> h, Tape& tape) {
        const Row<T> a = rate[of_panel(p) + n];
        const T *B_n = B.data() + n * sizes.chunk, *C_n = C.data() + n * sizes.chunk;
        const Row<T> *d = delta.data(), *x = input.data(), *dy = tape.dy.data();
        const Row<T> *decay = tape.decay.data(), *states = tape.h.data();
        Row<T> *dinput = sum.data(), *ddelta = tape.ddelta.data();
        Vec<T> *dB = tape.dB.data() + n * sizes.chunk, *dC = tape.dC.data() + n * sizes.chunk;
        Row<T> carry = state[of_panel(p) + n], dA = tape.dA[of_panel(p) + n];
        for (int64_t t = chunk.count - 1; t >= 0; --t) {
            const Row<T> g = carry + dy[t] * C_n[t];
            add_parts(dC[t], dy[t] * h);
            add_parts(dB[t], g * x[t]);
            dinput[t] = dinput[t] + g * B_n[t];
            carry = g * decay[t];
            h = states[t];
            const Row<T> dexponent = carry * h;
            dA = dA + dexponent * d[t];
            ddelta[t] = ddelta[t] + dexponent * a;
        }
        state[of_panel(p) + n] = carry;
        tape.dA[of_panel(p) + n] = dA;
    }

    static void add_parts(Vec<T>& sum, const Row<T>& row) {
        for (const Vec<T>& part : row.part) sum += part;
    }

    void store_gradients(const Chunk& chunk, const Panel<T>& panel, const Tape& tape,
                         const Gradients<T>& grad) const {
        for (int64_t t = 0; t < chunk.count; ++t) {
            panel.store(grad.u, chunk.first + t, sum[t] * delta[t]);
            panel.store(grad.delta, chunk.first + t,
                        tape.ddelta[t] * Simd<T>::ln2 + sum[t] * u[t]);
        }
    }

    void store_shares(const Chunk& chunk, int64_t group, const std::vector<Vec<T>>& shares,
                      T* to) const {
        to += ((group * sizes.batch + image) * sizes.length + chunk.first) * sizes.state;
        for (int64_t t = 0; t < chunk.count; ++t)
            for (int64_t n = 0; n < sizes.state; ++n)
                to[t * sizes.state + n] = horizontal_sum<T>(shares[n * sizes.chunk + t]);
    }

    const Sizes& sizes;
    const Inputs<T>& in;
    Row<T>* const kept;  // (B, chunks, panels, N), or null
    const int64_t image;
    const Groups groups;
    const int64_t first, last;  // panels
    std::vector<T> B, C;                       // (N, chunk)
    std::vector<Row<T>> rate, state;           // (panels, N), rates times log2(e)
    std::vector<Row<T>> u, delta, input, sum;  // (chunk,), of one panel
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

template <typename T>
void forward(const Sizes& sizes, const Inputs<T>& in, const Sequence& y, Row<T>* kept) {
    for_each_groups(sizes, [&](const Groups& groups) {
        Scan<T>(sizes, in, kept, groups).forward(y);
    });
}

template <typename T>
void backward(const Sizes& sizes, const Inputs<T>& in, const Sequence& dy, Row<T>* kept,
              const Gradients<T>& grad) {
    for_each_groups(sizes, [&](const Groups& groups) {
        Scan<T>(sizes, in, kept, groups).backward(dy, grad);
    });
}

}  // namespace

#define MMDEFOCUS_SCAN(T, SUFFIX)                                                               \
    extern "C" void selective_scan_forward_##SUFFIX(                                            \
        const Sizes* sizes, const Sequence* u, const Sequence* delta, const T* A,               \
        const Sequence* B, const Sequence* C, const Sequence* y, Row<T>* kept) {                \
        forward<T>(*sizes, {*u, *delta, A, *B, *C}, *y, kept);                                  \
    }                                                                                           \
    extern "C" void selective_scan_backward_##SUFFIX(                                           \
        const Sizes* sizes, const Sequence* u, const Sequence* delta, const T* A,               \
        const Sequence* B, const Sequence* C, const Sequence* dy, Row<T>* kept,                 \
        const Sequence* du, const Sequence* ddelta, T* dA, T* dB, T* dC) {                      \
        backward<T>(*sizes, {*u, *delta, A, *B, *C}, *dy, kept, {*du, *ddelta, dA, dB, dC});    \
    }

MMDEFOCUS_SCAN(float, float)
MMDEFOCUS_SCAN(double, double)
