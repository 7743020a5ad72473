// The selective scan on a CPU: sequential in time, parallel over channels. The mathematics, what is
// kept and why the result does not depend on the number of threads is in
// ../selective_scan/README.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "exponential.h"
#include "scan_layout.h"
#include "scan_tape.h"

// Goes through the sequence chunk after chunk, and in a chunk panel after panel. What a panel needs
// in a chunk fits into the nearest caches. An `Output` says what becomes of y: it has
//     streams()           the tensors that it reads and writes
//     finish(block)       takes y of a block, in the forward
//     start(block)        puts the gradient of y of a block into its rows, in the backward
//     du(panel, t, row)   returns the gradient of u, `row` being the share of the scan
template <typename T>
class Scan {
public:
    Scan(const Sizes& sizes, const Inputs<T>& in, const Ends<T>& ends, Row<T>* kept,
         const Groups& groups)
        : sizes(sizes),
          in(in),
          ends(ends),
          cut(sizes),
          kept(kept),
          image(groups.image),
          groups(groups),
          first(cut.first_panel(groups.first)),
          last(cut.first_panel(groups.last)),
          B(sizes.chunk * sizes.state),
          C(sizes.chunk * sizes.state),
          bias(last - first),
          rate((last - first) * sizes.state),
          state((last - first) * sizes.state),
          u(sizes.chunk),
          delta(sizes.chunk),
          input(sizes.chunk) {
        for (int64_t p = first; p < last; ++p)
            panel(p).for_each_part([&](int i, int64_t c, int count) {
                if (in.delta_bias) bias[p - first].part[i] = load(in.delta_bias + c, 1, count);
                for (int64_t n = 0; n < sizes.state; ++n) {
                    rate[of_panel(p) + n].part[i] =
                        load(in.A + c * sizes.state + n, sizes.state, count) * Simd<T>::log2_e;
                    if (ends.from)
                        state[of_panel(p) + n].part[i] =
                            load(ends.from + in_ends(c, n), sizes.state, count);
                }
            });
    }

    template <typename Output>
    void forward(Output&& output) {
        std::vector<Row<T>> y(cut.width * sizes.chunk);
        streams = output.streams();
        streams.insert(streams.end(), {in.u, in.delta});
        for (int64_t index = 0; index < sizes.chunks(); ++index) {
            const Chunk chunk(sizes, index);
            load_projections(chunk);
            for (int64_t p = first; p < last; p += cut.width) {
                const Block<T> block{sizes, chunk, image, p, cut.width, y.data()};
                for (int64_t i = 0; i < cut.width; ++i)
                    forward_panel(chunk, p + i, &block.row(i, 0));
                output.finish(block);
            }
        }
        store_end();
    }

    template <typename Output>
    void backward(Output&& output, const Gradients<T>& grad) {
        Tape<T> tape(sizes, cut.width, last - first);
        streams = output.streams();
        streams.insert(streams.end(), {in.u, in.delta, grad.u, grad.delta});
        for (int64_t index = sizes.chunks() - 1; index >= 0; --index) {
            const Chunk chunk(sizes, index);
            load_projections(chunk);
            for (int64_t group = groups.first; group < groups.last; ++group)
                backward_group(chunk, group, output, tape, grad);
        }
        for (int64_t p = first; p < last; ++p)
            panel(p).for_each_part([&](int i, int64_t c, int count) {
                const int64_t channel = image * sizes.channels + c;
                if (grad.delta_bias)
                    store(grad.delta_bias + channel, 1, count, tape.dbias[p - first].part[i]);
                for (int64_t n = 0; n < sizes.state; ++n)
                    store(grad.A + channel * sizes.state + n, sizes.state, count,
                          tape.dA[of_panel(p) + n].part[i]);
            });
        store_end();
    }

private:
    int64_t in_ends(int64_t c, int64_t n) const {
        return (image * sizes.channels + c) * sizes.state + n;
    }

    void store_end() const {
        if (!ends.to) return;
        for (int64_t p = first; p < last; ++p)
            panel(p).for_each_part([&](int i, int64_t c, int count) {
                for (int64_t n = 0; n < sizes.state; ++n)
                    store(ends.to + in_ends(c, n), sizes.state, count,
                          state[of_panel(p) + n].part[i]);
            });
    }

    int64_t of_panel(int64_t p) const { return (p - first) * sizes.state; }
    Panel<T> panel(int64_t p) const { return {image, p * Row<T>::lanes, sizes.channels}; }

    // The states of a panel before a chunk, (N,).
    Row<T>* kept_at(const Chunk& chunk, int64_t p) const {
        return kept + ((image * sizes.chunks() + chunk.index) * cut.panels + p) * sizes.state;
    }

    void load_projections(const Chunk& chunk) {
        load_projection(chunk, in.B, B);
        load_projection(chunk, in.C, C);
    }

    void load_projection(const Chunk& chunk, const StridedTensor& from, std::vector<T>& to) const {
        with_element_type<T>(from, [&](auto element) {
            for (int64_t t = 0; t < chunk.count; ++t)
                for (int64_t n = 0; n < sizes.state; ++n)
                    to[n * sizes.chunk + t] =
                        T(*from.at<const decltype(element)>(image, n, chunk.first + t));
        });
    }

    Row<T> raw_delta(int64_t p, int64_t t) const {
        return panel(p).load(in.delta, t) + bias[p - first];
    }

    void load_rows(const Chunk& chunk, int64_t p) {
        for (int64_t t = 0; t < chunk.count; ++t) {
            const Row<T> raw = raw_delta(p, chunk.first + t);
            delta[t] = sizes.softplus ? softplus(raw) : raw;
            u[t] = panel(p).load(in.u, chunk.first + t);
            input[t] = delta[t] * u[t];
        }
    }

    // The lines of the next panel, or of that of the next chunk, that are fetched along state n.
    Ahead<T> ahead(const Chunk& chunk, int64_t p, int64_t n, int step) const {
        Ahead<T> hints;
        const bool same_chunk = p + 1 < last;
        const int64_t index = same_chunk ? chunk.index : chunk.index + step;
        if (index < 0 || index >= sizes.chunks()) return hints;
        const Panel<T> next = panel(same_chunk ? p + 1 : first);
        const int64_t all = streams.size() * Ahead<T>::lines;
        for (int64_t i = n; i < all; i += sizes.state)
            hints.add(next, streams[i / Ahead<T>::lines], Chunk(sizes, index).first,
                      i % Ahead<T>::lines);
        return hints;
    }

    void prefetch_kept(const Chunk& chunk, int64_t p, int64_t n) const {
        const char* row = reinterpret_cast<const char*>(kept_at(chunk, p) + n);
        for (int i = 0; i < Ahead<T>::lines; ++i) prefetch(row + i * Ahead<T>::line);
    }

    void forward_panel(const Chunk& chunk, int64_t p, Row<T>* y) {
        load_rows(chunk, p);
        std::fill_n(y, chunk.count, Row<T>{});
        if (kept) std::copy_n(&state[of_panel(p)], sizes.state, kept_at(chunk, p));
        for (int64_t n = 0; n < sizes.state; ++n) {
            forward_state(chunk, p, n, ahead(chunk, p, n, 1), y);
        }
    }

    void forward_state(const Chunk& chunk, int64_t p, int64_t n, const Ahead<T>& ahead, Row<T>* y) {
        const Row<T> a = rate[of_panel(p) + n];
        Row<T> h = state[of_panel(p) + n];
        const T *B_n = B.data() + n * sizes.chunk, *C_n = C.data() + n * sizes.chunk;
        const Row<T>*d = delta.data(), *x = input.data();
        for (int64_t t = 0; t < chunk.count; ++t) {
            h = vexp2(d[t] * a) * h + x[t] * B_n[t];
            y[t] = y[t] + h * C_n[t];
            ahead.fetch(t);
        }
        state[of_panel(p) + n] = h;
    }

    template <typename Output>
    void backward_group(const Chunk& chunk, int64_t group, Output& output, Tape<T>& tape,
                        const Gradients<T>& grad) {
        std::fill(tape.dB.begin(), tape.dB.end(), Vec<T>{});
        std::fill(tape.dC.begin(), tape.dC.end(), Vec<T>{});
        for (int64_t p = cut.first_panel(group); p < cut.first_panel(group + 1); p += cut.width) {
            const Block<T> block{sizes, chunk, image, p, cut.width, tape.dy.data()};
            output.start(block);
            for (int64_t i = 0; i < cut.width; ++i) {
                backward_panel(chunk, p + i, &block.row(i, 0), tape);
                store_gradients(chunk, p + i, output, tape, grad);
            }
        }
        store_shares(chunk, group, tape.dB, grad.B);
        store_shares(chunk, group, tape.dC, grad.C);
    }

    void backward_panel(const Chunk& chunk, int64_t p, const Row<T>* dy, Tape<T>& tape) {
        load_rows(chunk, p);
        std::fill_n(tape.dinput.data(), chunk.count, Row<T>{});
        std::fill_n(tape.ddelta.data(), chunk.count, Row<T>{});
        for (int64_t n = 0; n < sizes.state; ++n) {
            prefetch_kept(chunk, p + 1, n);
            const Row<T> h = recompute_state(chunk, p, n, ahead(chunk, p, n, -1), tape);
            backward_state(chunk, p, n, h, dy, tape);
        }
    }

    // Returns the state after the chunk.
    Row<T> recompute_state(const Chunk& chunk, int64_t p, int64_t n, const Ahead<T>& ahead,
                           Tape<T>& tape) const {
        const Row<T> a = rate[of_panel(p) + n];
        const T* B_n = B.data() + n * sizes.chunk;
        const Row<T>*d = delta.data(), *x = input.data();
        Row<T>*decay = tape.decay.data(), *states = tape.h.data();
        Row<T> h = kept_at(chunk, p)[n];
        for (int64_t t = 0; t < chunk.count; ++t) {
            states[t] = h;
            decay[t] = vexp2(d[t] * a);
            h = decay[t] * h + x[t] * B_n[t];
            ahead.fetch(t);
        }
        return h;
    }

    // `state` carries a_{t+1} g_{t+1} here, `dinput` collects the gradient of delta u.
    void backward_state(const Chunk& chunk, int64_t p, int64_t n, const Row<T>& last_h,
                        const Row<T>* dy, Tape<T>& tape) {
        const Row<T> a = rate[of_panel(p) + n];
        const T *B_n = B.data() + n * sizes.chunk, *C_n = C.data() + n * sizes.chunk;
        const Row<T>*d = delta.data(), *x = input.data();
        const Row<T>*decay = tape.decay.data(), *states = tape.h.data();
        Row<T>*dinput = tape.dinput.data(), *ddelta = tape.ddelta.data();
        Vec<T>*dB = tape.dB.data() + n * sizes.chunk, *dC = tape.dC.data() + n * sizes.chunk;
        Row<T> carry = state[of_panel(p) + n], dA = tape.dA[of_panel(p) + n], h = last_h;
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

    template <typename Output>
    void store_gradients(const Chunk& chunk, int64_t p, Output& output, Tape<T>& tape,
                         const Gradients<T>& grad) const {
        Row<T> dbias = tape.dbias[p - first];
        for (int64_t t = 0; t < chunk.count; ++t) {
            const Row<T>& dinput = tape.dinput[t];
            const int64_t time = chunk.first + t;
            panel(p).store(grad.u, time, output.du(panel(p), time, dinput * delta[t]));
            Row<T> ddelta = tape.ddelta[t] * Simd<T>::ln2 + dinput * u[t];
            if (sizes.softplus) ddelta = ddelta * sigmoid(raw_delta(p, time));
            panel(p).store(grad.delta, time, ddelta);
            dbias = dbias + ddelta;
        }
        tape.dbias[p - first] = dbias;
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
    const Ends<T>& ends;
    const Cut<T> cut;
    Row<T>* const kept;  // (B, chunks, panels, N), or null
    const int64_t image;
    const Groups groups;
    const int64_t first, last;            // panels
    std::vector<T> B, C;                  // (N, chunk)
    std::vector<Row<T>> bias;             // (panels,), of delta
    std::vector<Row<T>> rate, state;      // (panels, N), rates times log2(e)
    std::vector<Row<T>> u, delta, input;  // (chunk,), of one panel
    std::vector<StridedTensor> streams;
};
