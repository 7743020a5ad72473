// Multi-scale deformable attention: a query of a head sums points of every level of `value`, each
// read between four pixels. README.md has the derivation.

#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "rows.h"

namespace {

constexpr int64_t points_at_once = 64;

struct Sizes {
    int64_t batch, pixels, heads, channels, queries, levels, points;
    int threads;

    explicit Sizes(const int64_t* of)
        : batch(of[0]), pixels(of[1]), heads(of[2]), channels(of[3]), queries(of[4]),
          levels(of[5]), points(of[6]), threads(int(of[7])) {}

    int64_t queries_at_once() const { return std::max<int64_t>(1, points_at_once / points); }
    int64_t blocks() const { return (queries + queries_at_once() - 1) / queries_at_once(); }

    // Rows of channels or of points, in tensors `(B, Q, H, …)`.
    int64_t row(int64_t image, int64_t query, int64_t head) const {
        return (image * queries + query) * heads + head;
    }
    int64_t first_point(int64_t image, int64_t query, int64_t head, int64_t level) const {
        return (row(image, query, head) * levels + level) * points;
    }
};

// Vectors of a row: 32 channels, the width of a head in most detectors.
template <typename T>
constexpr int W = 32 / Simd<T>::lanes;

template <typename From, typename To>
MMDEFOCUS_INLINE void convert(const From* from, int64_t count, To* to) {
    constexpr int lanes = Simd<std::conditional_t<std::is_same<From, double>::value, double,
                                                  float>>::lanes;
    int64_t c = 0;
    for (; c + lanes <= count; c += lanes) store(to + c, 1, lanes, load(from + c, 1, lanes));
    if (c < count) store(to + c, 1, int(count - c), load(from + c, 1, int(count - c)));
}

// A level of a head: rows of channels, `stride` elements apart, and one of zeros for all that lies
// outside.
template <typename T>
struct Map {
    const T* data;
    int64_t stride;
    const T* zeros;
    int32_t height, width;

    int32_t outside() const { return height * width; }
    const T* at(int64_t pixel) const { return pixel == outside() ? zeros : data + pixel * stride; }
};

// `value`, `(B, S, H, C)`, level by level. Its pixels are copied one behind the other where points
// read each of them more than once: the channels of one head, a power of two apart, share few
// places of a cache. Copies are wide.
template <typename S, typename T>
struct Value {
    const S* data;
    const Sizes& size;
    const int64_t* shapes;  // (levels, 2), height and width
    std::vector<int64_t> start{0};
    std::vector<T> zeros;
    bool is_copied;
    int64_t largest = 0;  // pixels of a level

    Value(const S* data, const Sizes& size, const int64_t* shapes)
        : data(data), size(size), shapes(shapes), zeros(size.channels, T(0)),
          is_copied(!std::is_same<S, T>::value ||
                    size.queries * size.levels * size.points > size.pixels) {
        for (int64_t l = 0; l < size.levels; ++l) {
            start.push_back(start[l] + pixels(l));
            largest = std::max(largest, pixels(l));
        }
    }

    int64_t pixels(int64_t level) const { return shapes[2 * level] * shapes[2 * level + 1]; }

    int64_t offset(int64_t image, int64_t head, int64_t pixel) const {
        return ((image * size.pixels + pixel) * size.heads + head) * size.channels;
    }

    MMDEFOCUS_INLINE void copy(int64_t image, int64_t head, int64_t pixel, T* to) const {
        convert(data + offset(image, head, pixel), size.channels, to);
    }

    Map<T> map(int64_t image, int64_t head, int64_t level, const T* copy) const {
        const int32_t height = shapes[2 * level], width = shapes[2 * level + 1];
        if constexpr (std::is_same<S, T>::value)
            if (!is_copied)
                return {data + offset(image, head, start[level]), size.heads * size.channels,
                        zeros.data(), height, width};
        return {copy, size.channels, zeros.data(), height, width};
    }
};

// The points of neighbouring queries of a head at one level.
template <typename T>
struct Points {
    using Int = typename Simd<T>::Int;
    using IntVec = typename Simd<T>::IntVec;
    static constexpr int lanes = Simd<T>::lanes;

    int64_t first, queries;       // the first query and how many
    std::vector<T> x, y, weight;  // a point's way from its top left pixel, from 0 to 1
    std::vector<Int> pixel[4];    // top left, top right, bottom left, bottom right
    std::vector<T> share[4];      // of these pixels in the sum

    explicit Points(const Sizes& size) {
        const int64_t most = size.queries_at_once() * size.points + lanes;
        for (auto* numbers : {&x, &y, &weight, share, share + 1, share + 2, share + 3})
            numbers->resize(most);
        for (auto& pixels : pixel) pixels.resize(most);
    }

    // Reads a block of queries and asks for the next.
    void read(const Sizes& size, int64_t block, int64_t image, int64_t head, int64_t level,
              const T* locations, const T* weights) {
        first = block * size.queries_at_once();
        queries = std::min(size.queries_at_once(), size.queries - first);
        for (int64_t q = 0, i = 0; q < queries; ++q) {
            const int64_t query = first + q, next = query + size.queries_at_once();
            const int64_t from = size.first_point(image, query, head, level);
            const int64_t ahead = size.first_point(image, next, head, level);
            prefetch(locations + 2 * ahead);
            prefetch(weights + ahead);
            for (int64_t p = from; p < from + size.points; ++p, ++i) {
                x[i] = locations[2 * p];
                y[i] = locations[2 * p + 1];
                weight[i] = weights[p];
            }
        }
    }

    // Finds the pixels around each point; those outside are pixel `height * width`.
    void locate(const Sizes& size, Int height, Int width) {
        const IntVec outside = IntVec{} + height * width;
        for (int64_t i = 0; i < queries * size.points; i += lanes) {
            const Vec<T> weights = load(&weight[i], 1, lanes);
            Vec<T> right = load(&x[i], 1, lanes), below = load(&y[i], 1, lanes);
            const IntVec column = split(right, width), row = split(below, height);
            const IntVec left_in = (column >= 0) & (column < width);
            const IntVec right_in = (column >= -1) & (column < width - 1);
            const IntVec top_in = (row >= 0) & (row < height);
            const IntVec bottom_in = (row >= -1) & (row < height - 1);
            const IntVec corner = row * width + column;
            keep(&pixel[0][i], top_in & left_in ? corner : outside);
            keep(&pixel[1][i], top_in & right_in ? corner + 1 : outside);
            keep(&pixel[2][i], bottom_in & left_in ? corner + width : outside);
            keep(&pixel[3][i], bottom_in & right_in ? corner + width + 1 : outside);
            const Vec<T> lower = below * weights, upper = weights - lower;
            keep(&share[0][i], upper - upper * right);
            keep(&share[1][i], upper * right);
            keep(&share[2][i], lower - lower * right);
            keep(&share[3][i], lower * right);
            keep(&x[i], right);
            keep(&y[i], below);
        }
    }

    template <typename V, typename E>
    static MMDEFOCUS_INLINE void keep(E* to, V x) {
        store_lanes(to, 1, lanes, x);
    }

    // Returns the pixel before a location and leaves the way from there. Places beyond -2 and
    // `size`, where all is outside, are moved there; those that are not finite become NaN.
    static MMDEFOCUS_INLINE IntVec split(Vec<T>& location, Int size) {
        const Vec<T> place = location * T(size) - T(0.5);
        const Vec<T> first = splat(T(-2)), last = splat(T(size));
        Vec<T> inside = place > first ? place : first;
        inside = inside < last ? inside : last;
        IntVec before = __builtin_convertvector(inside, IntVec);
        before += __builtin_convertvector(before, Vec<T>) > inside;  // -1 where it is
        location = inside - __builtin_convertvector(before, Vec<T>) + (place - place);
        return before;
    }
};

// Adds what the queries read at one level to their `sums`, `(queries, C)`.
template <typename T>
void add_points(const Sizes& size, const Points<T>& points, const Map<T>& map, T* sums) {
    for_each_row<T, W<T>>(0, size.channels, [&](int64_t c, int count) {
        for (int64_t q = 0; q < points.queries; ++q) {
            T* sum = sums + q * size.channels + c;
            Row<T, W<T>> row = load_row<W<T>>(sum, count);
            for (int64_t i = q * size.points; i < (q + 1) * size.points; ++i)
                for (int k = 0; k < 4; ++k) {
                    const T* from = map.at(points.pixel[k][i]) + c;
                    row = row + load_row<W<T>>(from, count) * points.share[k][i];
                }
            store_row(sum, count, row);
        }
    });
}

template <typename S, typename T>
void forward(const Sizes& size, const Value<S, T>& value, const T* locations, const T* weights,
             S* out) {
    const int64_t channels = size.channels;
    std::unique_ptr<T[]> copy(value.is_copied ? new T[size.pixels * channels] : nullptr);
#pragma omp parallel num_threads(size.threads) if (size.threads > 1)
    {
        Points<T> points(size);
        std::vector<T> sums(size.queries_at_once() * channels);
        for (int64_t b = 0; b < size.batch; ++b)
            for (int64_t h = 0; h < size.heads; ++h) {
                if (value.is_copied) {
#pragma omp for schedule(static)
                    for (int64_t s = 0; s < size.pixels; ++s)
                        value.copy(b, h, s, copy.get() + s * channels);
                }
#pragma omp for schedule(static)
                for (int64_t block = 0; block < size.blocks(); ++block) {
                    std::fill(sums.begin(), sums.end(), T(0));
                    for (int64_t l = 0; l < size.levels; ++l) {
                        const T* level = copy.get() + value.start[l] * channels;
                        const Map<T> map = value.map(b, h, l, level);
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

    // Adds to `sums`, `(pixels + 1, C)`, the last of which is outside.
    void add(const Points<T>& points, const Map<T>& map, T* sums) {
        for (auto& part : parts) std::fill(part.begin(), part.end(), T(0));
        for_each_row<T, W<T>>(0, size.channels, [&](int64_t c, int count) {
            for (int64_t q = 0; q < points.queries; ++q) {
                const Row<T, W<T>> grad = load_row<W<T>>(out.data() + q * size.channels + c, count);
                for (int64_t i = q * size.points; i < (q + 1) * size.points; ++i)
                    for (int k = 0; k < 4; ++k) {
                        const int64_t pixel = points.pixel[k][i];
                        const Row<T, W<T>> product =
                            grad * load_row<W<T>>(map.at(pixel) + c, count);
                        Vec<T> all = product.part[0];
                        for (int w = 1; w < W<T>; ++w) all += product.part[w];
                        T* part = parts[k].data() + 4 * i;
                        store_lanes(part, 1, 4, load_lanes<Four<T>>(part, 1, 4) + fold<T>(all));
                        T* sum = sums + pixel * size.channels + c;
                        store_row(sum, count,
                                  load_row<W<T>>(sum, count) + grad * points.share[k][i]);
                    }
            }
        });
    }

    void store(const Points<T>& points, const Map<T>& map, int64_t image, int64_t head,
               int64_t level, T* locations, T* weights) const {
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
template <typename S, typename T>
void backward(const Sizes& size, const Value<S, T>& value, const T* locations, const T* weights,
              const S* dout, S* dvalue, T* dlocations, T* dweights) {
    const int64_t channels = size.channels, heads = size.batch * size.heads;
    const int64_t levels = heads < size.threads ? 1 : size.levels;  // of a task
    const int64_t most = levels == 1 ? value.largest : size.pixels;
#pragma omp parallel num_threads(size.threads) if (size.threads > 1)
    {
        Points<T> points(size);
        Gradients<T> grads(size);
        std::unique_ptr<T[]> copy(value.is_copied ? new T[most * channels] : nullptr);
        std::unique_ptr<T[]> sums(new T[(most + size.levels) * channels]);
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < heads * (size.levels / levels); ++task) {
            const int64_t head = task / (size.levels / levels);
            const int64_t b = head / size.heads, h = head % size.heads;
            const int64_t first = task % (size.levels / levels) * levels, last = first + levels;
            const int64_t start = value.start[first], pixels = value.start[last] - start;
            if (value.is_copied)
                for (int64_t s = 0; s < pixels; ++s)
                    value.copy(b, h, start + s, copy.get() + s * channels);
            std::fill_n(sums.get(), (pixels + levels) * channels, T(0));
            for (int64_t block = 0; block < size.blocks(); ++block) {
                grads.read(dout, b, h, block);
                for (int64_t l = first; l < last; ++l) {
                    const int64_t before = value.start[l] - start;
                    const Map<T> map = value.map(b, h, l, copy.get() + before * channels);
                    points.read(size, block, b, h, l, locations, weights);
                    points.locate(size, map.height, map.width);
                    grads.add(points, map, sums.get() + (before + l - first) * channels);
                    grads.store(points, map, b, h, l, dlocations, dweights);
                }
            }
            for (int64_t l = first; l < last; ++l)
                for (int64_t s = value.start[l]; s < value.start[l + 1]; ++s)
                    convert(sums.get() + (s - start + l - first) * channels, channels,
                            dvalue + value.offset(b, h, s));
        }
    }
}

}  // namespace

#define MMDEFOCUS_MS_DEFORM_ATTN(S, T, SUFFIX)                                                    \
    extern "C" void ms_deform_attn_forward_##SUFFIX(                                              \
        const int64_t* sizes, const int64_t* shapes, const S* value, const T* locations,          \
        const T* weights, S* out) {                                                               \
        const Sizes size(sizes);                                                                  \
        forward<S, T>(size, {value, size, shapes}, locations, weights, out);                      \
    }                                                                                             \
    extern "C" void ms_deform_attn_backward_##SUFFIX(                                             \
        const int64_t* sizes, const int64_t* shapes, const S* value, const T* locations,          \
        const T* weights, const S* dout, S* dvalue, T* dlocations, T* dweights) {                 \
        const Sizes size(sizes);                                                                  \
        backward<S, T>(size, {value, size, shapes}, locations, weights, dout, dvalue, dlocations, \
                       dweights);                                                                 \
    }

MMDEFOCUS_MS_DEFORM_ATTN(float, float, float)
MMDEFOCUS_MS_DEFORM_ATTN(double, double, double)
MMDEFOCUS_MS_DEFORM_ATTN(BFloat16, float, bfloat16)
