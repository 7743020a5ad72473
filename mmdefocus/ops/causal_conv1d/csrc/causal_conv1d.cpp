// Depthwise causal convolution with SiLU: y = silu(a), a[t] = bias + sum_k weight[k] x[t - K + 1 + k].

#include <vector>

#include "rows.h"

namespace {

// The weight is (K, D) here, so that the channels of a tap are neighbours.
template <typename T>
struct Convolution {
    Rows<const T> x;
    const T *weight, *bias;
    int64_t width, channels;

    Vec<T> tap(int64_t k, int64_t c, int count) const {
        return load(weight + k * channels + c, 1, count);
    }

    Vec<T> at(int64_t b, int64_t t, int64_t c, int count) const {
        Vec<T> sum = load(bias + c, 1, count);
        for (int64_t k = std::max<int64_t>(0, width - 1 - t); k < width; ++k)
            sum += tap(k, c, count) * load(x.at(b, t - width + 1 + k) + c, 1, count);
        return sum;
    }
};

template <typename T>
void forward(const Tasks& tasks, const Convolution<T>& conv, Rows<T> y) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        for (int64_t t = task.first; t < task.last; ++t)
            for_each_vector<T>(0, tasks.channels, [&](int64_t c, int count) {
                const Vec<T> a = conv.at(task.image, t, c, count);
                store(y.at(task.image, t) + c, 1, count, a * vsigmoid<T>(a));
            });
    }
}

// da[t], the gradient of the convolution's output, reaches x[t - K + 1 .. t]. It is kept for the last
// K rows; the K - 1 rows after a task are computed again, for their share of its last rows.
template <typename T>
void backward_task(const Tasks& tasks, const Task& task, const Convolution<T>& conv,
                   Rows<const T> dy, Rows<T> dx, T* dweight, T* dbias) {
    const int64_t width = conv.width, channels = tasks.channels;
    std::vector<T> recent(width * channels);
    const auto da = [&](int64_t t) { return recent.data() + t % width * channels; };
    std::fill(dweight, dweight + width * channels, T(0));
    std::fill(dbias, dbias + channels, T(0));

    for (int64_t t = task.first; t < task.last + width - 1; ++t) {
        for_each_vector<T>(0, channels, [&](int64_t c, int count) {
            Vec<T> g{};
            if (t < tasks.length) {
                const Vec<T> a = conv.at(task.image, t, c, count);
                g = load(dy.at(task.image, t) + c, 1, count) *
                    silu_derivative<T>(a, vsigmoid<T>(a));
            }
            store(da(t) + c, 1, count, g);
            if (t < task.last) {
                store(dbias + c, 1, count, load(dbias + c, 1, count) + g);
                for (int64_t k = std::max<int64_t>(0, width - 1 - t); k < width; ++k) {
                    T* share = dweight + k * channels + c;
                    const T* x = conv.x.at(task.image, t - width + 1 + k) + c;
                    store(share, 1, count, load(share, 1, count) + g * load(x, 1, count));
                }
            }
            const int64_t done = t - width + 1;
            if (done >= task.first) {
                Vec<T> sum{};
                for (int64_t k = 0; k < width; ++k)
                    sum += conv.tap(k, c, count) * load(da(done + width - 1 - k) + c, 1, count);
                store(dx.at(task.image, done) + c, 1, count, sum);
            }
        });
    }
}

template <typename T>
void backward(const Tasks& tasks, const Convolution<T>& conv, Rows<const T> dy, Rows<T> dx,
              T* dweight, T* dbias) {
    const int64_t channels = tasks.channels;
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i)
        backward_task(tasks, Task(tasks, i), conv, dy, dx, dweight + i * conv.width * channels,
                      dbias + i * channels);
}

}  // namespace

#define MMDEFOCUS_CONV(T, SUFFIX)                                                              \
    extern "C" void causal_conv1d_forward_##SUFFIX(                                            \
        const Tasks* tasks, int64_t width, const T* x, const int64_t* xs, const T* weight,     \
        const T* bias, T* y, const int64_t* ys) {                                              \
        const Convolution<T> conv{{x, xs}, weight, bias, width, tasks->channels};              \
        forward<T>(*tasks, conv, {y, ys});                                                     \
    }                                                                                          \
    extern "C" void causal_conv1d_backward_##SUFFIX(                                           \
        const Tasks* tasks, int64_t width, const T* x, const int64_t* xs, const T* weight,     \
        const T* bias, const T* dy, const int64_t* dys, T* dx, const int64_t* dxs, T* dweight, \
        T* dbias) {                                                                            \
        const Convolution<T> conv{{x, xs}, weight, bias, width, tasks->channels};              \
        backward<T>(*tasks, conv, {dy, dys}, {dx, dxs}, dweight, dbias);                       \
    }

MMDEFOCUS_CONV(float, float)
MMDEFOCUS_CONV(double, double)
