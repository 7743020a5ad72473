// The selective scan and what the mixer does with its output, while that is still in the caches:
// out = (y r + u D) silu(z), r = 1 / sqrt(mean of y^2 over a group + eps).

#include <cmath>

#include "exponential.h"
#include "scan.h"

namespace {

// The steps go over all tokens of a chunk one after the other: within a token each would wait for
// the sum over the group before it.
template <typename T>
struct Epilogue {
    StridedTensor u, z, y;  // y is what the forward keeps for the backward, or null
    const T* skip;          // D, one a channel
    T eps;

    Row<T> skip_of(const Panel<T>& panel) const { return load_whole<T>(skip + panel.channel); }
};

template <typename T>
struct Forward {
    const Epilogue<T>& in;
    StridedTensor out;
    std::vector<T> r;  // (chunk,)

    std::vector<StridedTensor> streams() const {
        if (in.y.data) return {in.z, in.y, out};
        return {in.z, out};
    }

    void finish(const Block<T>& block) {
        for (int64_t t = 0; t < block.chunk.count; ++t) {
            Row<T> squares{};
            for (int64_t i = 0; i < block.width; ++i)
                squares = squares + block.row(i, t) * block.row(i, t);
            r[t] = 1 / std::sqrt(horizontal_sum(squares) / block.sizes.norm + in.eps);
        }
        for (int64_t i = 0; i < block.width; ++i)
            for (int64_t t = 0; t < block.chunk.count; ++t)
                finish_row(block.panel(i), block.chunk.first + t, block.row(i, t), r[t]);
    }

    void finish_row(const Panel<T>& panel, int64_t t, const Row<T>& y, T r) const {
        const Row<T> gate = panel.load(in.z, t);
        const Row<T> sum = y * r + panel.load(in.u, t) * in.skip_of(panel);
        panel.store(out, t, sum * gate * sigmoid(gate));
        if (in.y.data) panel.store(in.y, t, y);
    }
};

// With n = y r: dy = r (dsum - n mean(dsum n)), the mean taken over the group.
template <typename T>
struct Backward {
    const Epilogue<T>& in;
    StridedTensor dout, gradient_of_u, dz;
    T* dskip;                      // (B, D), to be summed over B
    std::vector<T> r;              // (chunk,)
    std::vector<Row<T>> row_sums;  // (chunk,)

    std::vector<StridedTensor> streams() const { return {in.z, in.y, dout, dz}; }

    void start(const Block<T>& block) {
        const int64_t first = block.chunk.first, count = block.chunk.count;
        std::fill_n(row_sums.data(), count, Row<T>{});
        for (int64_t i = 0; i < block.width; ++i)
            for (int64_t t = 0; t < count; ++t) {
                const Row<T> y = block.panel(i).load(in.y, first + t);
                row_sums[t] = row_sums[t] + y * y;
            }
        for (int64_t t = 0; t < count; ++t) {
            r[t] = 1 / std::sqrt(horizontal_sum(row_sums[t]) / block.sizes.norm + in.eps);
            row_sums[t] = Row<T>{};
        }
        for (int64_t i = 0; i < block.width; ++i)
            for (int64_t t = 0; t < count; ++t)
                start_row(block.panel(i), first + t, r[t], block.row(i, t), row_sums[t]);
        for (int64_t t = 0; t < count; ++t) {
            const T mean = horizontal_sum(row_sums[t]) / block.sizes.norm;
            for (int64_t i = 0; i < block.width; ++i) {
                const Row<T> normed = block.panel(i).load(in.y, first + t) * r[t];
                block.row(i, t) = (block.row(i, t) - normed * mean) * r[t];
            }
        }
    }

    // Sets `dsum`, and adds dsum n to `products`.
    void start_row(const Panel<T>& panel, int64_t t, T r, Row<T>& dsum, Row<T>& products) const {
        const Row<T> gate = panel.load(in.z, t), open = sigmoid(gate), g = panel.load(dout, t);
        const Row<T> normed = panel.load(in.y, t) * r, input = panel.load(in.u, t);
        const Row<T> weight = in.skip_of(panel);
        dsum = g * gate * open;
        products = products + dsum * normed;
        panel.store(dz, t, g * (normed + input * weight) * silu_derivative(gate, open));
        panel.store(gradient_of_u, t, dsum * weight);
        T* sums = dskip + panel.image * panel.channels + panel.channel;
        store_whole<T>(sums, load_whole<T>(sums) + dsum * input);
    }

    // The share of the skip waits in its place.
    Row<T> du(const Panel<T>& panel, int64_t t, const Row<T>& row) const {
        return row + panel.load(gradient_of_u, t);
    }
};

}  // namespace

#define MMDEFOCUS_GATED_SELECTIVE_SCAN(T, SUFFIX)                                        \
    extern "C" void gated_selective_scan_forward_##SUFFIX(                               \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta,          \
        const T* delta_bias, const T* A, const StridedTensor* B, const StridedTensor* C, \
        const T* skip, const StridedTensor* z, double eps, const T* initial,             \
        const StridedTensor* out, const StridedTensor* y, T* final, Row<T>* kept) {      \
        const Inputs<T> in{*u, *delta, delta_bias, A, *B, *C};                           \
        const Ends<T> ends{initial, final};                                              \
        const Epilogue<T> epilogue{*u, *z, *y, skip, T(eps)};                            \
        for_each_groups(*sizes, [&](const Groups& groups) {                              \
            Forward<T> output{epilogue, *out, std::vector<T>(sizes->chunk)};             \
            Scan<T>(*sizes, in, ends, kept, groups).forward(output);                     \
        });                                                                              \
    }                                                                                    \
    extern "C" void gated_selective_scan_backward_##SUFFIX(                              \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta,          \
        const T* delta_bias, const T* A, const StridedTensor* B, const StridedTensor* C, \
        const T* skip, const StridedTensor* z, double eps, const StridedTensor* dout,    \
        const T* dfinal, const StridedTensor* y, Row<T>* kept, const StridedTensor* du,  \
        const StridedTensor* ddelta, T* ddelta_bias, T* dA, T* dB, T* dC, T* dskip,      \
        const StridedTensor* dz, T* dinitial) {                                          \
        const Inputs<T> in{*u, *delta, delta_bias, A, *B, *C};                           \
        const Epilogue<T> epilogue{*u, *z, *y, skip, T(eps)};                            \
        const Ends<T> ends{dfinal, dinitial};                                            \
        const Gradients<T> grad{*du, *ddelta, ddelta_bias, dA, dB, dC};                  \
        for_each_groups(*sizes, [&](const Groups& groups) {                              \
            Backward<T> output{epilogue,                                                 \
                               *dout,                                                    \
                               *du,                                                      \
                               *dz,                                                      \
                               dskip,                                                    \
                               std::vector<T>(sizes->chunk),                             \
                               std::vector<Row<T>>(sizes->chunk)};                       \
            Scan<T>(*sizes, in, ends, kept, groups).backward(output, grad);              \
        });                                                                              \
    }

MMDEFOCUS_GATED_SELECTIVE_SCAN(float, float)
MMDEFOCUS_GATED_SELECTIVE_SCAN(double, double)
