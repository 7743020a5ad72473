// Depthwise causal convolution with SiLU: y = silu(a),
// a[t] = bias + sum_k weight[k] x[t - K + 1 + k].

#include <vector>

#include "exponential.h"
#include "rows.h"

namespace {

// The weight is (K, D) here, so that the channels of a tap are neighbours.
template <typename S, typename T = Wide<S>>
struct Convolution {
    ChannelsLast<const S> x;
    const T *weight, *bias;
    int64_t width, channels;

    Row<T> tap(int64_t k, int64_t c, int count) const {
        return load_row(weight + k * channels + c, count);
    }

    Row<T> at(int64_t b, int64_t t, int64_t c, int count) const {
        Row<T> sum = load_row(bias + c, count);
        for (int64_t k = std::max<int64_t>(0, width - 1 - t); k < width; ++k)
            sum = sum + tap(k, c, count) * load_row(x.at(b, t - width + 1 + k) + c, count);
        return sum;
    }
};

template <typename S, typename T = Wide<S>>
void forward(const Tasks& tasks, const Convolution<S>& conv, ChannelsLast<S> y) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        for (int64_t t = task.first; t < task.last; ++t)
            for_each_row<T>(0, tasks.channels, [&](int64_t c, int count) {
                const Row<T> a = conv.at(task.image, t, c, count);
                store_row(y.at(task.image, t) + c, count, a * sigmoid(a));
            });
    }
}

// da[t], the gradient of the convolution's output, reaches x[t - K + 1 .. t]. It is kept for the
// last K rows; the K - 1 rows after a task are computed again, for their share of its last rows.
template <typename S, typename T>
void backward_task(const Tasks& tasks, const Task& task, const Convolution<S>& conv,
                   ChannelsLast<const S> dy, ChannelsLast<S> dx, T* dweight, T* dbias) {
    const int64_t width = conv.width, channels = tasks.channels;
    std::vector<T> recent(width * channels);
    const auto da = [&](int64_t t) { return recent.data() + t % width * channels; };
    std::fill(dweight, dweight + width * channels, T(0));
    std::fill(dbias, dbias + channels, T(0));

    for (int64_t t = task.first; t < task.last + width - 1; ++t) {
        for_each_row<T>(0, channels, [&](int64_t c, int count) {
            Row<T> g{};
            if (t < tasks.length) {
                const Row<T> a = conv.at(task.image, t, c, count);
                g = load_row(dy.at(task.image, t) + c, count) * silu_derivative(a, sigmoid(a));
            }
            store_row(da(t) + c, count, g);
            if (t < task.last) {
                store_row(dbias + c, count, load_row(dbias + c, count) + g);
                for (int64_t k = std::max<int64_t>(0, width - 1 - t); k < width; ++k) {
                    T* share = dweight + k * channels + c;
                    const S* x = conv.x.at(task.image, t - width + 1 + k) + c;
                    store_row(share, count, load_row(share, count) + g * load_row(x, count));
                }
            }
            const int64_t done = t - width + 1;
            if (done >= task.first) {
                Row<T> sum{};
                for (int64_t k = 0; k < width; ++k)
                    sum =
                        sum + conv.tap(k, c, count) * load_row(da(done + width - 1 - k) + c, count);
                store_row(dx.at(task.image, done) + c, count, sum);
            }
        });
    }
}

template <typename S, typename T>
void backward(const Tasks& tasks, const Convolution<S>& conv, ChannelsLast<const S> dy,
              ChannelsLast<S> dx, T* dweight, T* dbias) {
    const int64_t channels = tasks.channels;
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i)
        backward_task(tasks, Task(tasks, i), conv, dy, dx, dweight + i * conv.width * channels,
                      dbias + i * channels);
}

}  // namespace

#define MMDEFOCUS_CONV(S, SUFFIX)                                                                  \
    extern "C" void causal_conv1d_forward_##SUFFIX(const Tasks* tasks, int64_t width, const S* x,  \
                                                   const int64_t* xs, const Wide<S>* weight,       \
                                                   const Wide<S>* bias, S* y, const int64_t* ys) { \
        const Convolution<S> conv{{x, xs}, weight, bias, width, tasks->channels};                  \
        forward<S>(*tasks, conv, {y, ys});                                                         \
    }                                                                                              \
    extern "C" void causal_conv1d_backward_##SUFFIX(                                               \
        const Tasks* tasks, int64_t width, const S* x, const int64_t* xs, const Wide<S>* weight,   \
        const Wide<S>* bias, const S* dy, const int64_t* dys, S* dx, const int64_t* dxs,           \
        Wide<S>* dweight, Wide<S>* dbias) {                                                        \
        const Convolution<S> conv{{x, xs}, weight, bias, width, tasks->channels};                  \
        backward<S>(*tasks, conv, {dy, dys}, {dx, dxs}, dweight, dbias);                           \
    }

MMDEFOCUS_CONV(float, float)
MMDEFOCUS_CONV(double, double)
MMDEFOCUS_CONV(BFloat16, bfloat16)
