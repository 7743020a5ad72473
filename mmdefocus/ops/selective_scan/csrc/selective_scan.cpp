// The selective scan by itself: y is the result, and its gradient comes from outside.

#include "scan.h"

namespace {

template <typename T>
struct Result {
    StridedTensor y;  // or its gradient

    std::vector<StridedTensor> streams() const { return {y}; }

    void finish(const Block<T>& block) const {
        for (int64_t t = 0; t < block.chunk.count; ++t)
            block.panel(0).store(y, block.chunk.first + t, block.row(0, t));
    }

    void start(const Block<T>& block) const {
        for (int64_t t = 0; t < block.chunk.count; ++t)
            block.row(0, t) = block.panel(0).load(y, block.chunk.first + t);
    }

    Row<T> du(const Panel<T>&, int64_t, const Row<T>& row) const { return row; }
};

}  // namespace

#define MMDEFOCUS_SCAN(T, SUFFIX)                                                               \
    extern "C" void selective_scan_forward_##SUFFIX(                                            \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta, const T* A,     \
        const StridedTensor* B, const StridedTensor* C, const StridedTensor* y, Row<T>* kept) { \
        const Inputs<T> in{*u, *delta, nullptr, A, *B, *C};                                     \
        for_each_groups(*sizes, [&](const Groups& groups) {                                     \
            Scan<T>(*sizes, in, kept, groups).forward(Result<T>{*y});                           \
        });                                                                                     \
    }                                                                                           \
    extern "C" void selective_scan_backward_##SUFFIX(                                           \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta, const T* A,     \
        const StridedTensor* B, const StridedTensor* C, const StridedTensor* dy, Row<T>* kept,  \
        const StridedTensor* du, const StridedTensor* ddelta, T* dA, T* dB, T* dC) {            \
        const Inputs<T> in{*u, *delta, nullptr, A, *B, *C};                                     \
        const Gradients<T> grad{*du, *ddelta, nullptr, dA, dB, dC};                             \
        for_each_groups(*sizes, [&](const Groups& groups) {                                     \
            Scan<T>(*sizes, in, kept, groups).backward(Result<T>{*dy}, grad);                   \
        });                                                                                     \
    }

MMDEFOCUS_SCAN(float, float)
MMDEFOCUS_SCAN(double, double)
