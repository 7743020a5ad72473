// The epilogue of the mixer: out = (y r + u D) silu(z), r = 1 / sqrt(mean of y^2 over a group + eps).

#include <cmath>

#include "rows.h"

namespace {

template <typename T>
struct Epilogue {
    Rows<const T> y, u, z;
    const T* skip;  // D, one a channel
    int64_t group;
    T eps;

    T inverse_rms(const T* y_row, int64_t first) const {
        Vec<T> squares{};
        for_each_vector<T>(first, first + group, [&](int64_t c, int count) {
            const Vec<T> value = load(y_row + c, 1, count);
            squares += value * value;
        });
        return 1 / std::sqrt(horizontal_sum<T>(squares) / group + eps);
    }
};

template <typename T>
void forward(const Tasks& tasks, const Epilogue<T>& in, Rows<T> out) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        for (int64_t t = task.first; t < task.last; ++t) {
            const T *y = in.y.at(task.image, t), *u = in.u.at(task.image, t);
            const T* z = in.z.at(task.image, t);
            for (int64_t first = 0; first < tasks.channels; first += in.group) {
                const T r = in.inverse_rms(y, first);
                for_each_vector<T>(first, first + in.group, [&](int64_t c, int count) {
                    const Vec<T> gate = load(z + c, 1, count);
                    const Vec<T> sum = load(y + c, 1, count) * r +
                                       load(u + c, 1, count) * load(in.skip + c, 1, count);
                    store(out.at(task.image, t) + c, 1, count, sum * gate * vsigmoid<T>(gate));
                });
            }
        }
    }
}

template <typename T>
struct Gradients {
    Rows<T> y, u, z;
    T* skip;  // (tasks, D)
};

// With n = y r: dy = r (dsum - n mean(dsum n)), the mean taken over the group.
template <typename T>
void backward_group(const Epilogue<T>& in, const T* dout, const T* y, const T* u, const T* z,
                    int64_t first, T* dy, T* du, T* dz, T* dskip) {
    const T r = in.inverse_rms(y, first);
    Vec<T> products{};
    for_each_vector<T>(first, first + in.group, [&](int64_t c, int count) {
        const Vec<T> gate = load(z + c, 1, count), sigmoid = vsigmoid<T>(gate);
        const Vec<T> normed = load(y + c, 1, count) * r, input = load(u + c, 1, count);
        const Vec<T> weight = load(in.skip + c, 1, count), g = load(dout + c, 1, count);
        const Vec<T> dsum = g * gate * sigmoid;
        store(dz + c, 1, count,
              g * (normed + input * weight) * silu_derivative<T>(gate, sigmoid));
        store(du + c, 1, count, dsum * weight);
        store(dskip + c, 1, count, load(dskip + c, 1, count) + dsum * input);
        store(dy + c, 1, count, dsum);
        products += dsum * normed;
    });
    const T mean = horizontal_sum<T>(products) / in.group;
    for_each_vector<T>(first, first + in.group, [&](int64_t c, int count) {
        const Vec<T> normed = load(y + c, 1, count) * r;
        store(dy + c, 1, count, (load(dy + c, 1, count) - normed * mean) * r);
    });
}

template <typename T>
void backward(const Tasks& tasks, const Epilogue<T>& in, Rows<const T> dout,
              const Gradients<T>& grad) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        T* dskip = grad.skip + i * tasks.channels;
        std::fill(dskip, dskip + tasks.channels, T(0));
        for (int64_t t = task.first; t < task.last; ++t)
            for (int64_t first = 0; first < tasks.channels; first += in.group)
                backward_group(in, dout.at(task.image, t), in.y.at(task.image, t),
                               in.u.at(task.image, t), in.z.at(task.image, t), first,
                               grad.y.at(task.image, t), grad.u.at(task.image, t),
                               grad.z.at(task.image, t), dskip);
    }
}

}  // namespace

#define MMDEFOCUS_GATED_NORM(T, SUFFIX)                                                         \
    extern "C" void gated_norm_forward_##SUFFIX(                                                \
        const Tasks* tasks, int64_t group, double eps, const T* y, const int64_t* ys,           \
        const T* u, const int64_t* us, const T* skip, const T* z, const int64_t* zs, T* out,    \
        const int64_t* outs) {                                                                  \
        const Epilogue<T> in{{y, ys}, {u, us}, {z, zs}, skip, group, T(eps)};                   \
        forward<T>(*tasks, in, {out, outs});                                                    \
    }                                                                                           \
    extern "C" void gated_norm_backward_##SUFFIX(                                               \
        const Tasks* tasks, int64_t group, double eps, const T* y, const int64_t* ys,           \
        const T* u, const int64_t* us, const T* skip, const T* z, const int64_t* zs,            \
        const T* dout, const int64_t* douts, T* dy, const int64_t* dys, T* du,                  \
        const int64_t* dus, T* dz, const int64_t* dzs, T* dskip) {                              \
        const Epilogue<T> in{{y, ys}, {u, us}, {z, zs}, skip, group, T(eps)};                   \
        backward<T>(*tasks, in, {dout, douts}, {{dy, dys}, {du, dus}, {dz, dzs}, dskip});       \
    }

MMDEFOCUS_GATED_NORM(float, float)
MMDEFOCUS_GATED_NORM(double, double)
