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

#define MMDEFOCUS_SCAN(T, SUFFIX)                                                                 \
    extern "C" void selective_scan_forward_##SUFFIX(                                              \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta, const T* A,       \
        const StridedTensor* B, const StridedTensor* C, const T* initial, const StridedTensor* y, \
        T* final, Row<T>* kept) {                                                                 \
        const Inputs<T> in{*u, *delta, nullptr, A, *B, *C};                                       \
        const Ends<T> ends{initial, final};                                                       \
        for_each_groups(*sizes, [&](const Groups& groups) {                                       \
            Scan<T>(*sizes, in, ends, kept, groups).forward(Result<T>{*y});                       \
        });                                                                                       \
    }                                                                                             \
    extern "C" void selective_scan_backward_##SUFFIX(                                             \
        const Sizes* sizes, const StridedTensor* u, const StridedTensor* delta, const T* A,       \
        const StridedTensor* B, const StridedTensor* C, const StridedTensor* dy, const T* dfinal, \
        Row<T>* kept, const StridedTensor* du, const StridedTensor* ddelta, T* dA, T* dB, T* dC,  \
        T* dinitial) {                                                                            \
        const Inputs<T> in{*u, *delta, nullptr, A, *B, *C};                                       \
        const Ends<T> ends{dfinal, dinitial};                                                     \
        const Gradients<T> grad{*du, *ddelta, nullptr, dA, dB, dC};                               \
        for_each_groups(*sizes, [&](const Groups& groups) {                                       \
            Scan<T>(*sizes, in, ends, kept, groups).backward(Result<T>{*dy}, grad);               \
        });                                                                                       \
    }

MMDEFOCUS_SCAN(float, float)
MMDEFOCUS_SCAN(double, double)
