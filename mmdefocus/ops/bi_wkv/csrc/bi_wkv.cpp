// Bidirectional WKV: y[t] is the average of all v[i], with weights exp(k[i] - w (|t - i| - 1)) for the
// others and exp(k[t] + u) for t itself.

#include <vector>

#include "exponential.h"
#include "rows.h"

namespace {

// Two vectors: the backward holds nine such rows.
constexpr int width = 2;
template <typename T>
using Part = Row<T, width>;

template <typename T>
constexpr T lowest = T(-1e30);  // an exponent that adds nothing; infinity less itself would be NaN

template <typename T>
constexpr T margin = T(16);  // of an exponent above the peak

template <typename T>
MMDEFOCUS_INLINE Part<T> filled(T x) {
    Part<T> row{};
    return row + x;
}

// Differences of exponents alone are scaled to powers of two: a scaled key would be rounded.
template <typename T>
MMDEFOCUS_INLINE Part<T> exponential(const Part<T>& x) {
    return vexp2(x * Simd<T>::log2_e);
}

// What a scan has summed up of the tokens that it has passed, all times exp(-peak). The peak is told by
// the exponent that it had and the tokens since: to subtract w at each would add up its roundings.
template <typename T, int count>
struct Sums {
    Part<T> w, first, since, sum[count];

    MMDEFOCUS_INLINE explicit Sums(const Part<T>& w) : w(w), first(filled(lowest<T>)), since{} {
        for (auto& s : sum) s = Part<T>{};
    }
    MMDEFOCUS_INLINE Part<T> peak() const { return first - w * since; }
    MMDEFOCUS_INLINE void fade() { since = since + T(1); }

    // Adds exp(exponent) x to the first sums. An exponent far above the peak becomes the peak, and the
    // sums are scaled down; others are taken relative to it. So no power overflows, and sums are
    // seldom scaled, which would add up roundings.
    template <int some>
    MMDEFOCUS_INLINE void add(const Part<T>& exponent, const Part<T> (&x)[some]) {
        const Part<T> ahead = peak() - exponent;
        Part<T> factor, kept, taken;
        unrolled<width>([&](int i) {
            factor.part[i] = ahead.part[i] < -margin<T> ? ahead.part[i] : -ahead.part[i];
        });
        factor = exponential(factor);
        unrolled<width>([&](int i) {
            const auto is_behind = ahead.part[i] < -margin<T>;
            kept.part[i] = is_behind ? factor.part[i] : splat<T>(1);
            taken.part[i] = is_behind ? splat<T>(1) : factor.part[i];
            first.part[i] = is_behind ? exponent.part[i] : first.part[i];
            since.part[i] = is_behind ? Vec<T>{} : since.part[i];
        });
        for (int s = 0; s < count; ++s) sum[s] = sum[s] * kept;
        for (int s = 0; s < some; ++s) sum[s] = sum[s] + x[s] * taken;
    }
};

struct Shape {
    int64_t batch, length, channels;
    int threads;
};

template <typename S, typename T = Wide<S>>
struct Inputs {
    ChannelsLast<const S> k, v;
    const T *w, *u;

    Part<T> key(int64_t b, int64_t t, int64_t c, int count) const {
        return load_row<width>(k.at(b, t) + c, count);
    }
};

// Calls f(image, first channel, number of channels) for all rows of channels of all images.
template <typename T, typename F>
void for_each_part(const Shape& shape, F f) {
    constexpr int64_t lanes = Part<T>::lanes;
    const int64_t parts = (shape.channels + lanes - 1) / lanes;
#pragma omp parallel for num_threads(shape.threads) schedule(static) if (shape.threads > 1)
    for (int64_t i = 0; i < shape.batch * parts; ++i) {
        const int64_t c = i % parts * lanes;
        f(i / parts, c, int(std::min(lanes, shape.channels - c)));
    }
}

template <typename S, typename T>
void forward_part(const Shape& shape, const Inputs<S>& in, T* y, T* peak, T* total, int64_t b,
                  int64_t c, int count) {
    constexpr int lanes = Part<T>::lanes;
    const Part<T> w = load_row<width>(in.w + c, count), u = load_row<width>(in.u + c, count);
    std::vector<T> kept(shape.length * 3 * lanes);  // the sums over the tokens after each

    Sums<T, 2> after(w);
    for (int64_t t = shape.length - 1; t >= 0; --t) {
        T* to = kept.data() + t * 3 * lanes;
        store_whole(to, after.peak());
        store_whole(to + lanes, after.sum[0]);
        store_whole(to + 2 * lanes, after.sum[1]);
        after.fade();
        after.add(in.key(b, t, c, count),
                  {filled(T(1)), load_row<width>(in.v.at(b, t) + c, count)});
    }

    Sums<T, 2> before(w);
    for (int64_t t = 0; t < shape.length; ++t) {
        const T* from = kept.data() + t * 3 * lanes;
        const Part<T> key = in.key(b, t, c, count);
        const Part<T> v = load_row<width>(in.v.at(b, t) + c, count);
        Sums<T, 2> all = before;
        all.add(load_whole<T, width>(from),
                {load_whole<T, width>(from + lanes), load_whole<T, width>(from + 2 * lanes)});
        all.add(key + u, {filled(T(1)), v});
        Part<T> mean;
        unrolled<width>([&](int i) { mean.part[i] = all.sum[1].part[i] / all.sum[0].part[i]; });
        const int64_t place = (b * shape.length + t) * shape.channels + c;
        store_row(y + place, count, mean);
        store_row(peak + place, count, all.peak());
        store_row(total + place, count, all.sum[0]);
        before.fade();
        before.add(key, {filled(T(1)), v});
    }
}

// The gradients of a token's key and value are such sums, too, over dy[t] and dy[t] y[t] with minus
// the logarithm of y[t]'s denominator for a key. The sums [2] and [3] are [0] and [1] with every term
// times its distance, for the gradient of w.
template <typename S, typename T>
struct Backward {
    const Inputs<S>& in;
    const T *y, *log_sum;
    ChannelsLast<const T> dy;
    int64_t length, channels;

    Part<T> exponent(int64_t b, int64_t t, int64_t c, int count) const {
        return load_row<width>(log_sum + (b * length + t) * channels + c, count) * T(-1);
    }
    Part<T> mean(int64_t b, int64_t t, int64_t c, int count) const {
        return load_row<width>(y + (b * length + t) * channels + c, count);
    }

    // Moves on from token t, from which a neighbour has distance 0.
    MMDEFOCUS_INLINE void pass(Sums<T, 4>& sums, int64_t b, int64_t t, int64_t c, int count) const {
        const Part<T> g = load_row<width>(dy.at(b, t) + c, count);
        sums.sum[2] = sums.sum[2] + sums.sum[0];
        sums.sum[3] = sums.sum[3] + sums.sum[1];
        sums.fade();
        sums.add(exponent(b, t, c, count), {g, g * mean(b, t, c, count)});
    }
};

// Adds what the tokens of a scan give to dv, to what is subtracted from v dv to make dk, and to dw.
template <typename T>
MMDEFOCUS_INLINE void collect(const Sums<T, 4>& sums, const Part<T>& key, const Part<T>& v,
                              Part<T>& dv, Part<T>& less, Part<T>& dw) {
    const Part<T> weight = exponential(key + sums.peak());
    dv = dv + sums.sum[0] * weight;
    less = less + sums.sum[1] * weight;
    dw = dw + (sums.sum[3] - v * sums.sum[2]) * weight;
}

template <typename S, typename T>
void backward_part(const Shape& shape, const Backward<S, T>& back, ChannelsLast<S> dk,
                   ChannelsLast<S> dv, T* dw_to, T* du_to, int64_t b, int64_t c, int count) {
    constexpr int lanes = Part<T>::lanes;
    const Inputs<S>& in = back.in;
    const Part<T> w = load_row<width>(in.w + c, count), u = load_row<width>(in.u + c, count);
    std::vector<T> kept(shape.length * 2 * lanes);  // the shares of the tokens after each
    Part<T> dw{}, du{};

    Sums<T, 4> after(w);
    for (int64_t t = shape.length - 1; t >= 0; --t) {
        Part<T> dv_t{}, less{};
        const Part<T> v = load_row<width>(in.v.at(b, t) + c, count);
        collect(after, in.key(b, t, c, count), v, dv_t, less, dw);
        T* to = kept.data() + t * 2 * lanes;
        store_whole(to, dv_t);
        store_whole(to + lanes, less);
        back.pass(after, b, t, c, count);
    }

    Sums<T, 4> before(w);
    for (int64_t t = 0; t < shape.length; ++t) {
        const T* from = kept.data() + t * 2 * lanes;
        Part<T> dv_t = load_whole<T, width>(from), less = load_whole<T, width>(from + lanes);
        const Part<T> key = in.key(b, t, c, count);
        const Part<T> v = load_row<width>(in.v.at(b, t) + c, count);
        collect(before, key, v, dv_t, less, dw);
        const Part<T> g = load_row<width>(back.dy.at(b, t) + c, count);
        const Part<T> own = exponential(key + u + back.exponent(b, t, c, count)) * g;
        const Part<T> y = back.mean(b, t, c, count);
        dv_t = dv_t + own;
        less = less + own * y;
        du = du + own * (v - y);
        store_row(dv.at(b, t) + c, count, dv_t);
        store_row(dk.at(b, t) + c, count, v * dv_t - less);
        back.pass(before, b, t, c, count);
    }
    store_row(dw_to + b * shape.channels + c, count, dw);
    store_row(du_to + b * shape.channels + c, count, du);
}

}  // namespace

#define MMDEFOCUS_BI_WKV(S, SUFFIX)                                                             \
    extern "C" void bi_wkv_forward_##SUFFIX(                                                    \
        int64_t batch, int64_t length, int64_t channels, int64_t threads, const S* k,           \
        const int64_t* ks, const S* v, const int64_t* vs, const Wide<S>* w, const Wide<S>* u,   \
        Wide<S>* y, Wide<S>* peak, Wide<S>* total) {                                            \
        const Shape shape{batch, length, channels, int(threads)};                               \
        const Inputs<S> in{{k, ks}, {v, vs}, w, u};                                             \
        for_each_part<Wide<S>>(shape, [&](int64_t b, int64_t c, int count) {                    \
            forward_part<S>(shape, in, y, peak, total, b, c, count);                            \
        });                                                                                     \
    }                                                                                           \
    extern "C" void bi_wkv_backward_##SUFFIX(                                                   \
        int64_t batch, int64_t length, int64_t channels, int64_t threads, const S* k,           \
        const int64_t* ks, const S* v, const int64_t* vs, const Wide<S>* w, const Wide<S>* u,   \
        const Wide<S>* y, const Wide<S>* log_sum, const Wide<S>* dy, const int64_t* dys, S* dk, \
        const int64_t* dks, S* dv, const int64_t* dvs, Wide<S>* dw, Wide<S>* du) {              \
        const Shape shape{batch, length, channels, int(threads)};                               \
        const Inputs<S> in{{k, ks}, {v, vs}, w, u};                                             \
        const Backward<S, Wide<S>> back{in, y, log_sum, {dy, dys}, length, channels};           \
        for_each_part<Wide<S>>(shape, [&](int64_t b, int64_t c, int count) {                    \
            backward_part<S>(shape, back, {dk, dks}, {dv, dvs}, dw, du, b, c, count);           \
        });                                                                                     \
    }

MMDEFOCUS_BI_WKV(float, float)
MMDEFOCUS_BI_WKV(double, double)
MMDEFOCUS_BI_WKV(BFloat16, bfloat16)
