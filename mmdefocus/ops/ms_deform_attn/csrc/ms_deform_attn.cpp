// Multi-scale deformable attention: a query of a head sums points of every level of `value`, each
// read between four pixels. README.md has the derivation.

#include <memory>

#include "deformable.h"

namespace {

using namespace deformable;

// Adds what the queries read at one level to their `sums`, `(queries, C)`.
template <typename T, typename Map>
void add_points(const Sizes& size, const Points<T>& points, const Map map, T* sums) {
    for_each_row<T, W<T>>(0, size.channels, [&](int64_t c, int count) {
        for (int64_t q = 0; q < points.queries; ++q) {
            T* sum = sums + q * size.channels + c;
            Row<T, W<T>> row = load_row<W<T>>(sum, count);
            for (int64_t i = q * size.points; i < (q + 1) * size.points; ++i)
                for (int k = 0; k < 4; ++k) {
                    map.prepare(points.pixel[k][i + ahead], c);
                    const T* from = map.at(points.pixel[k][i]) + c;
                    row = row + load_row<W<T>>(from, count) * points.share[k][i];
                }
            store_row(sum, count, row);
        }
    });
}

template <typename S, typename T, bool copied>
void forward(const Sizes& size, const int64_t* shapes, const S* value, const T* locations,
             const T* weights, S* out) {
    const Levels<S, T, copied> levels(size, shapes);
    const int64_t channels = size.channels;
    std::unique_ptr<T[]> copy(copied ? new T[levels.place(size.levels, 0)] : nullptr);
    const std::vector<T> zeros(channels, T(0));
#pragma omp parallel num_threads(size.threads) if (size.threads > 1)
    {
        Points<T> points(size);
        std::vector<T> sums(size.queries_at_once() * channels);
        for (int64_t b = 0; b < size.batch; ++b)
            for (int64_t h = 0; h < size.heads; ++h) {
                for (int64_t l = 0; copied && l < size.levels; ++l) {
#pragma omp for schedule(static) nowait
                    for (int64_t s = levels.start[l]; s < levels.start[l + 1]; ++s)
                        levels.copy(value, b, h, s, s + 1, l, copy.get() + levels.place(l, 0));
                }
#pragma omp barrier
#pragma omp for schedule(static)
                for (int64_t block = 0; block < size.blocks(); ++block) {
                    std::fill(sums.begin(), sums.end(), T(0));
                    for (int64_t l = 0; l < size.levels; ++l) {
                        const T* level = copy.get() + levels.place(l, 0);
                        const auto map = levels.map(b, h, l, value, level, zeros.data());
                        points.read(size, block, b, h, l, locations, weights);
                        points.locate(size, map.height, map.width);
                        add_points(size, points, map, sums.data());
                    }
                    for (int64_t q = 0; q < points.queries; ++q)
                        convert(sums.data() + q * channels, channels,
                                out + size.row(b, points.first + q, h) * channels);
                }
            }
    }
}

template <typename T, int lanes>
struct Lanes {
    typedef T Vec __attribute__((vector_size(lanes * sizeof(T))));
};
template <typename T>
using Four = typename Lanes<T, 4>::Vec;

// Adds halves until four lanes are left, whose sum is that of all.
template <typename T, int lanes = Simd<T>::lanes>
MMDEFOCUS_INLINE Four<T> fold(typename Lanes<T, lanes>::Vec x) {
    if constexpr (lanes < 4) {
        Four<T> four{};
        std::memcpy(&four, &x, sizeof x);
        return four;
    } else if constexpr (lanes == 4) {
        return x;
    } else {
        struct Halves {
            typename Lanes<T, lanes / 2>::Vec low, high;
        };
        const auto halves = bits<Halves>(x);
        return fold<T, lanes / 2>(halves.low + halves.high);
    }
}

// The gradients of a block of points and of the pixels that they read.
template <typename T>
struct Gradients {
    const Sizes& size;
    std::vector<T> out;       // (queries, C)
    std::vector<T> parts[4];  // four for each point: what its pixels times `out` sum up to

    explicit Gradients(const Sizes& size)
        : size(size), out(size.queries_at_once() * size.channels) {
        for (auto& part : parts) part.resize(size.queries_at_once() * size.points * 4);
    }

    template <typename S>
    void read(const S* dout, int64_t image, int64_t head, int64_t block) {
        const int64_t first = block * size.queries_at_once();
        for (int64_t q = 0; q < std::min(size.queries_at_once(), size.queries - first); ++q)
            convert(dout + size.row(image, first + q, head) * size.channels, size.channels,
                    out.data() + q * size.channels);
    }

    template <typename Map, typename Sums>
    void add(const Points<T>& points, const Map map, const Sums sums) {
        for (auto& part : parts) std::fill(part.begin(), part.end(), T(0));
        for_each_row<T, W<T>>(0, size.channels, [&](int64_t c, int count) {
            for (int64_t q = 0; q < points.queries; ++q) {
                const Row<T, W<T>> grad = load_row<W<T>>(out.data() + q * size.channels + c, count);
                for (int64_t i = q * size.points; i < (q + 1) * size.points; ++i)
                    for (int k = 0; k < 4; ++k) {
                        map.prepare(points.pixel[k][i + ahead], c);
                        sums.prepare(points.pixel[k][i + ahead], c);
                        const int64_t pixel = points.pixel[k][i];
                        const Row<T, W<T>> product =
                            grad * load_row<W<T>>(map.at(pixel) + c, count);
                        Vec<T> all = product.part[0];
                        for (int w = 1; w < W<T>; ++w) all += product.part[w];
                        T* part = parts[k].data() + 4 * i;
                        store_lanes(part, 1, 4, load_lanes<Four<T>>(part, 1, 4) + fold<T>(all));
                        T* sum = sums.at(pixel) + c;
                        store_row(sum, count,
                                  load_row<W<T>>(sum, count) + grad * points.share[k][i]);
                    }
            }
        });
    }

    template <typename Map>
    void store(const Points<T>& points, const Map& map, int64_t image, int64_t head, int64_t level,
               T* locations, T* weights) const {
        for (int64_t q = 0, i = 0; q < points.queries; ++q) {
            const int64_t row = size.row(image, points.first + q, head) * size.levels + level;
            T *place = locations + 2 * row * size.points, *last = weights + row * size.points;
            for (int64_t p = 0; p < size.points; ++p, ++i) {
                T dot[4];
                for (int k = 0; k < 4; ++k) {
                    const T* part = parts[k].data() + 4 * i;
                    dot[k] = (part[0] + part[1]) + (part[2] + part[3]);
                }
                const T x = points.x[i], y = points.y[i], weight = points.weight[i];
                const T above = dot[1] - dot[0], below = dot[3] - dot[2];
                const T left = dot[2] - dot[0], right = dot[3] - dot[1];
                place[2 * p] = weight * map.width * (above + y * (below - above));
                place[2 * p + 1] = weight * map.height * (left + x * (right - left));
                last[p] = dot[0] + x * above + y * (left + x * (right - left));
            }
        }
    }
};

// A task is a head, or a level of it where threads outnumber heads: nobody else has its gradients,
// and every sum is in the order of the queries.
template <typename S, typename T, bool copied>
void backward(const Sizes& size, const int64_t* shapes, const S* value, const T* locations,
              const T* weights, const S* dout, S* dvalue, T* dlocations, T* dweights) {
    const Levels<S, T, copied> levels(size, shapes);
    const int64_t channels = size.channels, heads = size.batch * size.heads;
    const int64_t parts = heads < size.threads ? size.levels : 1;  // tasks of a head
    const int64_t most =
        parts == 1 ? levels.place(size.levels, 0) : (levels.largest + 1) * channels;
    const std::vector<T> zeros(channels, T(0));
#pragma omp parallel num_threads(size.threads) if (size.threads > 1)
    {
        Points<T> points(size);
        Gradients<T> grads(size);
        std::vector<T> lost(channels);  // what goes to pixels outside
        std::unique_ptr<T[]> copy(copied ? new T[most] : nullptr);
        std::unique_ptr<T[]> sums(copied ? new T[most] : nullptr);
        if constexpr (!copied) {
#pragma omp for schedule(static)
            for (int64_t s = 0; s < size.batch * size.pixels; ++s)
                std::fill_n(dvalue + s * size.heads * channels, size.heads * channels, S{});
        }
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < heads * parts; ++task) {
            const int64_t b = task / parts / size.heads, h = task / parts % size.heads;
            const int64_t first = parts == 1 ? 0 : task % parts;
            const int64_t last = parts == 1 ? size.levels : first + 1;
            if constexpr (copied) {
                for (int64_t l = first; l < last; ++l)
                    levels.copy(value, b, h, levels.start[l], levels.start[l + 1], l,
                                copy.get() + levels.place(l, first));
                std::fill_n(sums.get(), levels.place(last, first), T(0));
            }
            for (int64_t block = 0; block < size.blocks(); ++block) {
                grads.read(dout, b, h, block);
                for (int64_t l = first; l < last; ++l) {
                    const T* level = copy.get() + levels.place(l, first);
                    T* level_sums = sums.get() + levels.place(l, first);
                    const auto map = levels.map(b, h, l, value, level, zeros.data());
                    points.read(size, block, b, h, l, locations, weights);
                    points.locate(size, map.height, map.width);
                    grads.add(points, map, levels.map(b, h, l, dvalue, level_sums, lost.data()));
                    grads.store(points, map, b, h, l, dlocations, dweights);
                }
            }
            if constexpr (copied)
                for (int64_t l = first; l < last; ++l)
                    levels.take(sums.get() + levels.place(l, first), b, h, l, dvalue);
        }
    }
}

// Calls `f` with whether pixels are copied.
template <typename S, typename T, typename F>
void choose(const Sizes& size, F f) {
    if constexpr (std::is_same<S, T>::value)
        if (size.queries * size.levels * size.points <= size.pixels) return f(std::false_type());
    f(std::true_type());
}

}  // namespace

#define MMDEFOCUS_MS_DEFORM_ATTN(S, T, SUFFIX)                                                   \
    extern "C" void ms_deform_attn_forward_##SUFFIX(const int64_t* sizes, const int64_t* shapes, \
                                                    const S* value, const T* locations,          \
                                                    const T* weights, S* out) {                  \
        const Sizes size(sizes);                                                                 \
        choose<S, T>(size, [&](auto copied) {                                                    \
            forward<S, T, copied>(size, shapes, value, locations, weights, out);                 \
        });                                                                                      \
    }                                                                                            \
    extern "C" void ms_deform_attn_backward_##SUFFIX(                                            \
        const int64_t* sizes, const int64_t* shapes, const S* value, const T* locations,         \
        const T* weights, const S* dout, S* dvalue, T* dlocations, T* dweights) {                \
        const Sizes size(sizes);                                                                 \
        choose<S, T>(size, [&](auto copied) {                                                    \
            backward<S, T, copied>(size, shapes, value, locations, weights, dout, dvalue,        \
                                   dlocations, dweights);                                        \
        });                                                                                      \
    }

MMDEFOCUS_MS_DEFORM_ATTN(float, float, float)
MMDEFOCUS_MS_DEFORM_ATTN(double, double, double)
MMDEFOCUS_MS_DEFORM_ATTN(BFloat16, float, bfloat16)
