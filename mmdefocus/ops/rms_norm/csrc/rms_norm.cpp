// RMS normalisation over all channels of a token: y = x r w, r = 1 / sqrt(mean of x^2 + eps).

#include "rows.h"

namespace {

template <typename S, typename T = Wide<S>>
struct Norm {
    ChannelsLast<const S> x;
    const T* weight;
    int64_t channels;
    T eps;

    T scale(const S* token) const { return inverse_rms(token, 0, channels, eps); }
};

template <typename S, typename T = Wide<S>>
void forward(const Tasks& tasks, const Norm<S>& norm, ChannelsLast<S> y) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        for (int64_t t = task.first; t < task.last; ++t) {
            const S* x = norm.x.at(task.image, t);
            const T r = norm.scale(x);
            for_each_row<T>(0, tasks.channels, [&](int64_t c, int count) {
                const Row<T> weight = load_row(norm.weight + c, count);
                store_row(y.at(task.image, t) + c, count, load_row(x + c, count) * r * weight);
            });
        }
    }
}

// With n = x r and g = dy w: dx = r (g - n mean(g n)).
template <typename S, typename T>
void backward_token(const Norm<S>& norm, const S* x, const S* dy, S* dx, T* dweight) {
    const T r = norm.scale(x);
    Row<T> products{};
    for_each_row<T>(0, norm.channels, [&](int64_t c, int count) {
        const Row<T> normed = load_row(x + c, count) * r, gradient = load_row(dy + c, count);
        const Row<T> share = gradient * normed;
        products = products + share * load_row(norm.weight + c, count);
        store_row(dweight + c, count, load_row(dweight + c, count) + share);
    });
    const T mean = horizontal_sum(products) / norm.channels;
    for_each_row<T>(0, norm.channels, [&](int64_t c, int count) {
        const Row<T> normed = load_row(x + c, count) * r;
        const Row<T> g = load_row(dy + c, count) * load_row(norm.weight + c, count);
        store_row(dx + c, count, (g - normed * mean) * r);
    });
}

template <typename S, typename T>
void backward(const Tasks& tasks, const Norm<S>& norm, ChannelsLast<const S> dy, ChannelsLast<S> dx,
              T* dweight) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        T* sums = dweight + i * tasks.channels;  // (tasks, C), to be summed over the tasks
        std::fill(sums, sums + tasks.channels, T(0));
        for (int64_t t = task.first; t < task.last; ++t)
            backward_token(norm, norm.x.at(task.image, t), dy.at(task.image, t),
                           dx.at(task.image, t), sums);
    }
}

}  // namespace

#define MMDEFOCUS_RMS_NORM(S, SUFFIX)                                                         \
    extern "C" void rms_norm_forward_##SUFFIX(const Tasks* tasks, double eps, const S* x,     \
                                              const int64_t* xs, const Wide<S>* weight, S* y, \
                                              const int64_t* ys) {                            \
        const Norm<S> norm{{x, xs}, weight, tasks->channels, Wide<S>(eps)};                   \
        forward<S>(*tasks, norm, {y, ys});                                                    \
    }                                                                                         \
    extern "C" void rms_norm_backward_##SUFFIX(                                               \
        const Tasks* tasks, double eps, const S* x, const int64_t* xs, const Wide<S>* weight, \
        const S* dy, const int64_t* dys, S* dx, const int64_t* dxs, Wide<S>* dweight) {       \
        const Norm<S> norm{{x, xs}, weight, tasks->channels, Wide<S>(eps)};                   \
        backward<S>(*tasks, norm, {dy, dys}, {dx, dxs}, dweight);                             \
    }

MMDEFOCUS_RMS_NORM(float, float)
MMDEFOCUS_RMS_NORM(double, double)
MMDEFOCUS_RMS_NORM(BFloat16, bfloat16)
