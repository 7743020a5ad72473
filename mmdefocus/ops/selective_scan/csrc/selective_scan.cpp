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

// One task: some channels of one image, chunk after chunk, and in a chunk panel after panel. What a
// chunk needs fits into the nearest caches.
template <typename T>
class Scan {
public:
    Scan(const Sizes& sizes, const Inputs<T>& in, Row<T>* kept, int64_t task)
        : sizes(sizes),
          in(in),
          kept(kept),
          image(task / sizes.groups),
          group(task % sizes.groups),
          first(panels() * group / sizes.groups),
          last(panels() * (group + 1) / sizes.groups),
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
                        load(in.A + c * sizes.state + n, sizes.state, count);
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
            std::fill(tape.dB.begin(), tape.dB.end(), Vec<T>{});
            std::fill(tape.dC.begin(), tape.dC.end(), Vec<T>{});
            for (int64_t p = first; p < last; ++p) {
                load_rows(chunk, panel(p));
                for (int64_t t = 0; t < chunk.count; ++t) {
                    tape.dy[t] = panel(p).load(dy, chunk.first + t);
                    tape.ddelta[t] = Row<T>{};
                }
                for (int64_t n = 0; n < sizes.state; ++n) {
                    prefetch(chunk, p, n, -1, {in.u, in.delta, dy, grad.u, grad.delta});
                    recompute_state(chunk, p, n, tape);
                    backward_state(chunk, p, n, tape);
                }
                store_gradients(chunk, panel(p), tape, grad);
            }
            store_shares(chunk, tape.dB, grad.B);
            store_shares(chunk, tape.dC, grad.C);
        }
        for (int64_t p = first; p < last; ++p)
            for (int64_t n = 0; n < sizes.state; ++n)
                panel(p).for_each_part([&](int i, int64_t c, int count) {
                    store(grad.A + (image * sizes.channels + c) * sizes.state + n, sizes.state,
                          count, tape.dA[of_panel(p) + n].part[i]);
                });
    }

private:
    // What the backward alone needs: decays and states of one n along a chunk, sums for its rows,
    // shares of dB and dC, (N, chunk), still one a lane.
    struct Tape {
        std::vector<Row<T>> dy, decay, h, ddelta, dA;
        std::vector<Vec<T>> dB, dC;

        Tape(const Sizes& sizes, int64_t panels)
            : dy(sizes.chunk),
              decay(sizes.chunk),
              h(sizes.chunk + 1),
              ddelta(sizes.chunk),
              dA(panels * sizes.state),
              dB(sizes.chunk * sizes.state),
              dC(sizes.chunk * sizes.state) {}
    };

    int64_t panels() const { return (sizes.channels + Row<T>::lanes - 1) / Row<T>::lanes; }
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
            h = vexp(d[t] * a) * h + x[t] * B_n[t];
            y[t] = y[t] + h * C_n[t];
        }
        state[of_panel(p) + n] = h;
    }

    void recompute_state(const Chunk& chunk, int64_t p, int64_t n, Tape& tape) const {
        const Row<T> a = rate[of_panel(p) + n];
        const T* B_n = B.data() + n * sizes.chunk;
        const Row<T> *d = delta.data(), *x = input.data();
        Row<T> *decay = tape.decay.data(), *states = tape.h.data();
        Row<T> h = states[0] = kept_at(chunk, p)[n];
        for (int64_t t = 0; t < chunk.count; ++t) {
            decay[t] = vexp(d[t] * a);
            h = decay[t] * h + x[t] * B_n[t];
            states[t + 1] = h;
        }
    }

    // `state` carries a_{t+1} g_{t+1} here, `sum` collects the gradient of delta u.
    void backward_state(const Chunk& chunk, int64_t p, int64_t n, Tape& tape) {
        const Row<T> a = rate[of_panel(p) + n];
        const T *B_n = B.data() + n * sizes.chunk, *C_n = C.data() + n * sizes.chunk;
        const Row<T> *d = delta.data(), *x = input.data(), *dy = tape.dy.data();
        const Row<T> *decay = tape.decay.data(), *h = tape.h.data();
        Row<T> *dinput = sum.data(), *ddelta = tape.ddelta.data();
        Vec<T> *dB = tape.dB.data() + n * sizes.chunk, *dC = tape.dC.data() + n * sizes.chunk;
        Row<T> carry = state[of_panel(p) + n], dA = tape.dA[of_panel(p) + n];
        for (int64_t t = chunk.count - 1; t >= 0; --t) {
            const Row<T> g = carry + dy[t] * C_n[t];
            add_parts(dC[t], dy[t] * h[t + 1]);
            add_parts(dB[t], g * x[t]);
            dinput[t] = dinput[t] + g * B_n[t];
            carry = g * decay[t];
            const Row<T> dexponent = carry * h[t];
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
            panel.store(grad.delta, chunk.first + t, tape.ddelta[t] + sum[t] * u[t]);
        }
    }

    void store_shares(const Chunk& chunk, const std::vector<Vec<T>>& shares, T* to) const {
        to += ((group * sizes.batch + image) * sizes.length + chunk.first) * sizes.state;
        for (int64_t t = 0; t < chunk.count; ++t)
            for (int64_t n = 0; n < sizes.state; ++n)
                to[t * sizes.state + n] = horizontal_sum<T>(shares[n * sizes.chunk + t]);
    }

    const Sizes& sizes;
    const Inputs<T>& in;
    Row<T>* const kept;  // (B, chunks, panels, N), or null
    const int64_t image, group;
    const int64_t first, last;  // panels
    std::vector<T> B, C;                       // (N, chunk)
    std::vector<Row<T>> rate, state;           // (panels, N)
    std::vector<Row<T>> u, delta, input, sum;  // (chunk,), of one panel
};

template <typename T>
void forward(const Sizes& sizes, const Inputs<T>& in, const Sequence& y, Row<T>* kept) {
#pragma omp parallel for num_threads(sizes.threads) schedule(static) if (sizes.threads > 1)
    for (int64_t task = 0; task < sizes.batch * sizes.groups; ++task)
        Scan<T>(sizes, in, kept, task).forward(y);
}

template <typename T>
void backward(const Sizes& sizes, const Inputs<T>& in, const Sequence& dy, Row<T>* kept,
              const Gradients<T>& grad) {
#pragma omp parallel for num_threads(sizes.threads) schedule(static) if (sizes.threads > 1)
    for (int64_t task = 0; task < sizes.batch * sizes.groups; ++task)
        Scan<T>(sizes, in, kept, task).backward(dy, grad);
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
