// Vectors as wide as the machine's registers, in the language of gcc and clang, and rows of several
// vectors.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#ifdef __AVX512F__
#include <immintrin.h>
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

// Rows must stay in registers, which they do only within a function.
#define MMDEFOCUS_INLINE __attribute__((always_inline)) inline

// Vectors of T, and of integers of the same width.
template <typename T, typename I>
struct Lanes {
    static constexpr int lanes = vector_bytes / sizeof(T);
    using Int = I;
    typedef T Vec __attribute__((vector_size(vector_bytes)));
    typedef I IntVec __attribute__((vector_size(vector_bytes)));
};

template <typename T>
struct Simd;

template <>
struct Simd<float> : Lanes<float, int32_t> {
    typedef uint16_t HalfVec __attribute__((vector_size(vector_bytes / 2)));

    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float round_magic = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float lowest = -151.f, highest = 129.f;  // 2^x is 0 and inf beyond
    static constexpr float log2_e = 1.44269504f, ln2 = 0.693147181f;

    // of 2^r, from the highest down, for the smallest relative error on |r| <= 1/2, 2e-9
    static constexpr int degree = 6;
    static constexpr float coefficients[degree + 1] = {
        0.00015353363f, 0.0013398875f, 0.009618437f, 0.055503324f, 0.24022648f, 0.6931472f, 1.f};
};

template <>
struct Simd<double> : Lanes<double, int64_t> {
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double round_magic = 6755399441055744.;  // 1.5 * 2^52
    static constexpr double lowest = -1076., highest = 1025.;
    static constexpr double log2_e = 1.4426950408889634, ln2 = 0.69314718055994531;

    // Taylor coefficients ln(2)^k / k!, whose rest is below 1 unit in the last place
    static constexpr int degree = 13;
    static constexpr double coefficients[degree + 1] = {
        1.3691488853904129e-12, 2.5678435993488205e-11,
        4.4455382718708115e-10, 7.0549116208011233e-9,
        1.0178086009239700e-7,  1.3215486790144309e-6,
        1.5252733804059840e-5,  1.5403530393381610e-4,
        1.3333558146428443e-3,  9.6181291076284772e-3,
        5.5504108664821580e-2,  2.4022650695910071e-1,
        6.9314718055994531e-1,  1.};
};

template <typename T>
using Vec = typename Simd<T>::Vec;

template <typename T>
inline Vec<T> splat(T x) {
    return Vec<T>{} + x;
}

template <typename To, typename From>
inline To bits(const From& x) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To y;
    std::memcpy(&y, &x, sizeof y);
    return y;
}

// Calls f(0), ..., f(W - 1). gcc takes a loop that copies for a memcpy, and does that in pieces of
// half a vector, which the machine cannot forward to the load of a whole one that follows.
template <typename F, int... i>
MMDEFOCUS_INLINE void unrolled(std::integer_sequence<int, i...>, F f) {
    (f(i), ...);
}
template <int W, typename F>
MMDEFOCUS_INLINE void unrolled(F f) {
    unrolled(std::make_integer_sequence<int, W>(), f);
}

// Neighbouring vectors. A long chain of operations, such as an exponential, is done on all of them
// step by step: the machine looks too few instructions ahead to overlap one chain with the next.
template <typename T, int W = 4>
struct Row {
    static constexpr int lanes = W * Simd<T>::lanes;
    Vec<T> part[W];

    Row() = default;
    MMDEFOCUS_INLINE Row(const Row& other) { *this = other; }
    MMDEFOCUS_INLINE Row& operator=(const Row& other) {
        unrolled<W>([&](int i) { part[i] = other.part[i]; });
        return *this;
    }
};

template <typename T>
struct Unaligned {
    typedef T Vec __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
};

// Whole rows, anywhere in memory.
template <typename T, int W = 4>
MMDEFOCUS_INLINE Row<T, W> load_whole(const T* from) {
    const auto* vectors = reinterpret_cast<const typename Unaligned<T>::Vec*>(from);
    Row<T, W> row;
    unrolled<W>([&](int i) { row.part[i] = vectors[i]; });
    return row;
}

template <typename T, int W>
MMDEFOCUS_INLINE void store_whole(T* to, const Row<T, W>& row) {
    auto* vectors = reinterpret_cast<typename Unaligned<T>::Vec*>(to);
    unrolled<W>([&](int i) { vectors[i] = row.part[i]; });
}

#define MMDEFOCUS_ROW_OPERATOR(OP)                                                   \
    template <typename T, int W>                                                     \
    MMDEFOCUS_INLINE Row<T, W> operator OP(const Row<T, W>& a, const Row<T, W>& b) { \
        Row<T, W> c;                                                                 \
        for (int i = 0; i < W; ++i) c.part[i] = a.part[i] OP b.part[i];              \
        return c;                                                                    \
    }                                                                                \
    template <typename T, int W>                                                     \
    MMDEFOCUS_INLINE Row<T, W> operator OP(const Row<T, W>& a, T b) {                \
        Row<T, W> c;                                                                 \
        for (int i = 0; i < W; ++i) c.part[i] = a.part[i] OP b;                      \
        return c;                                                                    \
    }
MMDEFOCUS_ROW_OPERATOR(+)
MMDEFOCUS_ROW_OPERATOR(-)
MMDEFOCUS_ROW_OPERATOR(*)
#undef MMDEFOCUS_ROW_OPERATOR

// Adds half of the lanes to the other half until one is left; a loop over all lanes would be one
// long chain of additions.
template <typename T, int count>
inline T sum_of(const T* lane) {
    if constexpr (count == 1) {
        return *lane;
    } else {
        typedef T Half __attribute__((vector_size(count / 2 * sizeof(T))));
        Half half[2];
        std::memcpy(half, lane, sizeof half);
        half[0] += half[1];
        T sums[count / 2];
        std::memcpy(sums, half, sizeof sums);
        return sum_of<T, count / 2>(sums);
    }
}

template <typename T>
inline T horizontal_sum(Vec<T> x) {
    T lane[Simd<T>::lanes];
    std::memcpy(lane, &x, sizeof lane);
    return sum_of<T, Simd<T>::lanes>(lane);
}

template <typename T, int W>
inline T horizontal_sum(const Row<T, W>& x) {
    Vec<T> sum = x.part[0];
    for (int i = 1; i < W; ++i) sum += x.part[i];
    return horizontal_sum<T>(sum);
}

// Loads `count` <= lanes neighbouring channels, `stride` elements apart; the rest is zero. The lanes
// pass through an array, because a vector that is indexed would live in memory from then on.
template <typename V, typename T>
inline V load_lanes(const T* from, int64_t stride, int count) {
    V x{};
    if (stride == 1 && count * sizeof(T) == sizeof x) {
        std::memcpy(&x, from, sizeof x);
    } else {
        T lane[sizeof x / sizeof(T)] = {};
        for (int i = 0; i < count; ++i) lane[i] = from[i * stride];
        std::memcpy(&x, lane, sizeof x);
    }
    return x;
}

template <typename V, typename T>
inline void store_lanes(T* to, int64_t stride, int count, V x) {
    if (stride == 1 && count * sizeof(T) == sizeof x) {
        std::memcpy(to, &x, sizeof x);
    } else {
        T lane[sizeof x / sizeof(T)];
        std::memcpy(lane, &x, sizeof x);
        for (int i = 0; i < count; ++i) to[i * stride] = lane[i];
    }
}

template <typename T>
inline Vec<T> load(const T* from, int64_t stride, int count) {
    if (stride == 1 && count == Simd<T>::lanes) return load_whole<T, 1>(from).part[0];
    return load_lanes<Vec<T>>(from, stride, count);
}

template <typename T>
inline void store(T* to, int64_t stride, int count, Vec<T> x) {
    if (stride == 1 && count == Simd<T>::lanes)
        *reinterpret_cast<typename Unaligned<T>::Vec*>(to) = x;
    else
        store_lanes(to, stride, count, x);
}

// A hint, which never faults. The empty statement keeps gcc from dropping functions that only give
// hints, because they have no effect.
inline void prefetch(const void* address) {
    __builtin_prefetch(address);
    asm volatile("" : : "r"(address));
}

// bfloat16 is the upper half of a float.
struct BFloat16 {
    uint16_t upper;

    explicit operator float() const { return bits<float>(uint32_t(upper) << 16); }
};

inline Vec<float> load(const BFloat16* from, int64_t stride, int count) {
    using S = Simd<float>;
    const auto upper = load_lanes<S::HalfVec>(&from->upper, stride, count);
    return bits<Vec<float>>(__builtin_convertvector(upper, S::IntVec) << 16);
}

// Rounds to the nearest, ties to even; a NaN keeps being one.
inline void store(BFloat16* to, int64_t stride, int count, Vec<float> x) {
    using S = Simd<float>;
    typedef uint32_t UIntVec __attribute__((vector_size(vector_bytes)));
    const UIntVec exact = bits<UIntVec>(x);
    const UIntVec rounded = (exact + 0x7fff + ((exact >> 16) & 1)) >> 16;
    const UIntVec upper = x == x ? rounded : UIntVec{} + 0x7fc0;
    store_lanes(&to->upper, stride, count, __builtin_convertvector(upper, S::HalfVec));
}

template <typename T, int W = 4>
MMDEFOCUS_INLINE Row<T, W> load_whole(const BFloat16* from) {
    constexpr int lanes = Simd<T>::lanes;
    Row<T, W> row;
    unrolled<W>([&](int i) { row.part[i] = load(from + i * lanes, 1, lanes); });
    return row;
}

template <typename T, int W>
MMDEFOCUS_INLINE void store_whole(BFloat16* to, const Row<T, W>& row) {
    constexpr int lanes = Simd<T>::lanes;
    unrolled<W>([&](int i) { store(to + i * lanes, 1, lanes, row.part[i]); });
}

// What numbers that are stored as S are computed with.
template <typename S>
struct WideType {
    using type = S;
};
template <>
struct WideType<BFloat16> {
    using type = float;
};
template <typename S>
using Wide = typename WideType<S>::type;
