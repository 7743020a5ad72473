// Deformable attention: where the levels of a feature map lie, and where points look.
#pragma once

#include <type_traits>
#include <vector>

#include "rows.h"

namespace deformable {

constexpr int64_t points_at_once = 64;
constexpr int64_t ahead = 8;  // points whose pixels are asked for before they are read

struct Sizes {
    int64_t batch, pixels, heads, channels, queries, levels, points;
    int threads;

    explicit Sizes(const int64_t* of)
        : batch(of[0]),
          pixels(of[1]),
          heads(of[2]),
          channels(of[3]),
          queries(of[4]),
          levels(of[5]),
          points(of[6]),
          threads(int(of[7])) {}

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
constexpr size_t row_bytes = 32 * sizeof(float);

template <typename From, typename To>
MMDEFOCUS_INLINE void convert(const From* from, int64_t count, To* to) {
    constexpr int lanes =
        Simd<std::conditional_t<std::is_same<From, double>::value, double, float>>::lanes;
    int64_t c = 0;
    for (; c + lanes <= count; c += lanes) store(to + c, 1, lanes, load(from + c, 1, lanes));
    if (c < count) store(to + c, 1, int(count - c), load(from + c, 1, int(count - c)));
}

// A level of a head: rows of channels, `stride` elements apart. What lies outside is row
// `height * width` of a copy; else it is elsewhere.
template <typename T, bool copied>
struct Map {
    T* data;
    int64_t stride;
    T* outside;
    int32_t height, width;

    MMDEFOCUS_INLINE T* at(int64_t pixel) const {
        return !copied && pixel == height * width ? outside : data + pixel * stride;
    }

    // Asks for a row of which a copy would be near.
    MMDEFOCUS_INLINE void prepare(int64_t pixel, int64_t c) const {
        if constexpr (!copied)
            for (size_t i = 0; i < row_bytes; i += 64)
                prefetch(reinterpret_cast<const char*>(at(pixel) + c) + i);
    }
};

// `value`, `(B, S, H, C)`, and its gradient, level by level. Pixels are copied one behind the other
// where points read each of them more than once: the channels of one head, a power of two apart,
// share few places of a cache. Copies are wide, and each level has a row more, which is outside.
template <typename S, typename T, bool copied>
struct Levels {
    const Sizes& size;
    const int64_t* shapes;          // (levels, 2), height and width
    std::vector<int64_t> start{0};  // the first pixel of each
    int64_t largest = 0;            // pixels of a level

    Levels(const Sizes& size, const int64_t* shapes) : size(size), shapes(shapes) {
        for (int64_t l = 0; l < size.levels; ++l) {
            const int64_t pixels = shapes[2 * l] * shapes[2 * l + 1];
            start.push_back(start[l] + pixels);
            largest = std::max(largest, pixels);
        }
    }

    int64_t offset(int64_t image, int64_t head, int64_t pixel) const {
        return ((image * size.pixels + pixel) * size.heads + head) * size.channels;
    }

    // Where a copy that begins with level `first` has level `l`.
    int64_t place(int64_t l, int64_t first) const {
        return (start[l] - start[first] + l - first) * size.channels;
    }

    // Copies some pixels of a level; the last one is outside.
    MMDEFOCUS_INLINE void copy(const S* value, int64_t image, int64_t head, int64_t first,
                               int64_t last, int64_t l, T* level) const {
        for (int64_t s = first; s < last; ++s)
            convert(value + offset(image, head, s), size.channels,
                    level + (s - start[l]) * size.channels);
        if (last == start[l + 1])
            std::fill_n(level + (last - start[l]) * size.channels, size.channels, T(0));
    }

    // The reverse, of a gradient.
    MMDEFOCUS_INLINE void take(const T* from, int64_t image, int64_t head, int64_t l,
                               S* dvalue) const {
        for (int64_t s = start[l]; s < start[l + 1]; ++s, from += size.channels)
            convert(from, size.channels, dvalue + offset(image, head, s));
    }

    template <typename Whole, typename Copy>
    Map<Copy, copied> map(int64_t image, int64_t head, int64_t l, Whole* whole, Copy* copy,
                          Copy* outside) const {
        const int32_t height = shapes[2 * l], width = shapes[2 * l + 1];
        if constexpr (copied)
            return {copy, size.channels, outside, height, width};
        else
            return {whole + offset(image, head, start[l]), size.heads * size.channels, outside,
                    height, width};
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
        const int64_t most = size.queries_at_once() * size.points + std::max<int64_t>(lanes, ahead);
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
            const int64_t later = size.first_point(image, next, head, level);
            prefetch(locations + 2 * later);
            prefetch(weights + later);
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

}  // namespace deformable
