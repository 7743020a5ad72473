// The epilogue of the mixer: out = (y r + u D) silu(z), r = 1 / sqrt(mean of y^2 over a group +
// eps).

#include "exponential.h"
#include "rows.h"

namespace {

constexpr int W = 1;  // vectors of a row; more were not faster, the loads and stores take the time

template <typename T>
struct Epilogue {
    ChannelsLast<const T> y, u, z;
    const T* skip;  // D, one a channel
    int64_t group;
    T eps;

    T scale(const T* token, int64_t first) const {
        return inverse_rms<W>(token, first, first + group, eps);
    }
};

template <typename T>
void forward(const Tasks& tasks, const Epilogue<T>& in, ChannelsLast<T> out) {
#pragma omp parallel for num_threads(tasks.threads) schedule(static) if (tasks.threads > 1)
    for (int64_t i = 0; i < tasks.number(); ++i) {
        const Task task(tasks, i);
        for (int64_t t = task.first; t < task.last; ++t) {
            const T *y = in.y.at(task.image, t), *u = in.u.at(task.image, t);
            const T* z = in.z.at(task.image, t);
            for (int64_t first = 0; first < tasks.channels; first += in.group) {
                const T r = in.scale(y, first);
                for_each_row<T, W>(first, first + in.group, [&](int64_t c, int count) {
                    const Row<T, W> gate = load_row<W>(z + c, count);
                    const Row<T, W> sum =
                        load_row<W>(y + c, count) * r +
                        load_row<W>(u + c, count) * load_row<W>(in.skip + c, count);
                    store_row(out.at(task.image, t) + c, count, sum * gate * sigmoid(gate));
                });
            }
        }
    }
}

template <typename T>
struct Gradients {
    ChannelsLast<T> y, u, z;
    T* skip;  // (tasks, D)
};

// With n = y r: dy = r (dsum - n mean(dsum n)), the mean taken over the group.
template <typename T>
void backward_group(const Epilogue<T>& in, const T* dout, const T* y, const T* u, const T* z,
                    int64_t first, T* dy, T* du, T* dz, T* dskip) {
    const T r = in.scale(y, first);
    Row<T, W> products{};
    for_each_row<T, W>(first, first + in.group, [&](int64_t c, int count) {
        const Row<T, W> gate = load_row<W>(z + c, count), open = sigmoid(gate);
        const Row<T, W> normed = load_row<W>(y + c, count) * r, input = load_row<W>(u + c, count);
        const Row<T, W> weight = load_row<W>(in.skip + c, count), g = load_row<W>(dout + c, count);
        const Row<T, W> dsum = g * gate * open;
        store_row(dz + c, count, g * (normed + input * weight) * silu_derivative(gate, open));
        store_row(du + c, count, dsum * weight);
        store_row(dskip + c, count, load_row<W>(dskip + c, count) + dsum * input);
        store_row(dy + c, count, dsum);
        products = products + dsum * normed;
    });
    const T mean = horizontal_sum(products) / in.group;
    for_each_row<T, W>(first, first + in.group, [&](int64_t c, int count) {
        const Row<T, W> normed = load_row<W>(y + c, count) * r;
        store_row(dy + c, count, (load_row<W>(dy + c, count) - normed * mean) * r);
    });
}

template <typename T>
void backward(const Tasks& tasks, const Epilogue<T>& in, ChannelsLast<const T> dout,
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

#define MMDEFOCUS_GATED_GROUP_RMS_NORM(T, SUFFIX)                                                 \
    extern "C" void gated_group_rms_norm_forward_##SUFFIX(                                        \
        const Tasks* tasks, int64_t group, double eps, const T* y, const int64_t* ys, const T* u, \
        const int64_t* us, const T* skip, const T* z, const int64_t* zs, T* out,                  \
        const int64_t* outs) {                                                                    \
        const Epilogue<T> in{{y, ys}, {u, us}, {z, zs}, skip, group, T(eps)};                     \
        forward<T>(*tasks, in, {out, outs});                                                      \
    }                                                                                             \
    extern "C" void gated_group_rms_norm_backward_##SUFFIX(                                       \
        const Tasks* tasks, int64_t group, double eps, const T* y, const int64_t* ys, const T* u, \
        const int64_t* us, const T* skip, const T* z, const int64_t* zs, const T* dout,           \
        const int64_t* douts, T* dy, const int64_t* dys, T* du, const int64_t* dus, T* dz,        \
        const int64_t* dzs, T* dskip) {                                                           \
        const Epilogue<T> in{{y, ys}, {u, us}, {z, zs}, skip, group, T(eps)};                     \
        backward<T>(*tasks, in, {dout, douts}, {{dy, dys}, {du, dus}, {dz, dzs}, dskip});         \
    }

MMDEFOCUS_GATED_GROUP_RMS_NORM(float, float)
MMDEFOCUS_GATED_GROUP_RMS_NORM(double, double)
