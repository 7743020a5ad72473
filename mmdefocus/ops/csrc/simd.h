// Vectors of 64 bytes in the language of gcc and clang, which split them into what the machine has
// (AVX-512, AVX2, NEON), and an exponential on them that needs no -ffast-math.
#pragma once

#include <cstdint>
#include <cstring>

template <typename T>
struct Simd;

template <>
struct Simd<float> {
    static constexpr int lanes = 16;
    using Int = int32_t;
    typedef float Vec __attribute__((vector_size(64)));
    typedef int32_t IntVec __attribute__((vector_size(64)));

    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float round_magic = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float lowest = -104.5f, highest = 89.f;  // exp is 0 and inf beyond
    static constexpr float log2_e = 1.44269504f;
    static constexpr float ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;

    // Taylor coefficients 1/k! from the highest down; |r| <= ln(2) / 2 keeps the rest below 1 ulp
    static constexpr int degree = 7;
    static constexpr float coefficients[degree + 1] = {
        1.f / 5040, 1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 1.f / 2, 1.f, 1.f};
};

template <>
struct Simd<double> {
    static constexpr int lanes = 8;
    using Int = int64_t;
    typedef double Vec __attribute__((vector_size(64)));
    typedef int64_t IntVec __attribute__((vector_size(64)));

    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double round_magic = 6755399441055744.;  // 1.5 * 2^52
    static constexpr double lowest = -746., highest = 710.;
    static constexpr double log2_e = 1.4426950408889634;
    static constexpr double ln2_high = 0.69314718036912382, ln2_low = 1.9082149292705877e-10;

    static constexpr int degree = 13;
    static constexpr double coefficients[degree + 1] = {
        1. / 6227020800, 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320,
        1. / 5040,       1. / 720,       1. / 120,      1. / 24,      1. / 6,      1. / 2,
        1.,              1.};
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

// exp(x) = 2^k * exp(r) with k = round(x / ln 2) and |r| <= ln(2) / 2. The power is applied in two
// halves, so that results below the smallest normal number and above the largest come out right.
// A NaN fails both comparisons and passes through the polynomial.
template <typename T>
inline Vec<T> vexp(Vec<T> x) {
    using S = Simd<T>;
    using IntVec = typename S::IntVec;
    x = x < splat<T>(S::lowest) ? splat<T>(S::lowest) : x;
    x = x > splat<T>(S::highest) ? splat<T>(S::highest) : x;

    const Vec<T> shifted = x * S::log2_e + S::round_magic;
    const IntVec k = bits<IntVec>(shifted) - bits<typename S::Int>(T(S::round_magic));
    const Vec<T> rounded = shifted - S::round_magic;
    const Vec<T> r = (x - rounded * S::ln2_high) - rounded * S::ln2_low;

    Vec<T> p = splat<T>(S::coefficients[0]);
#pragma GCC unroll 16
    for (int i = 1; i <= S::degree; ++i) p = p * r + S::coefficients[i];

    const IntVec half = k >> 1;
    const Vec<T> power_a = bits<Vec<T>>((half + S::exponent_bias) << S::mantissa_bits);
    const Vec<T> power_b = bits<Vec<T>>((k - half + S::exponent_bias) << S::mantissa_bits);
    return p * power_a * power_b;
}

template <typename T>
inline Vec<T> vsigmoid(Vec<T> x) {
    return splat<T>(1) / (splat<T>(1) + vexp<T>(-x));
}

// silu(x) = x sigmoid(x)
template <typename T>
inline Vec<T> silu_derivative(Vec<T> x, Vec<T> sigmoid) {
    return sigmoid * (splat<T>(1) + x * (splat<T>(1) - sigmoid));
}

// The upper half of the lanes is added to the lower one, twice, and the last 16 bytes one by one; a
// plain loop over all lanes would be a chain of sixteen additions.
template <typename T>
inline T horizontal_sum(Vec<T> x) {
    typedef T Half __attribute__((vector_size(32)));
    typedef T Quarter __attribute__((vector_size(16)));
    Half halves[2];
    std::memcpy(halves, &x, sizeof x);
    halves[0] += halves[1];
    Quarter quarters[2];
    std::memcpy(quarters, halves, sizeof quarters);
    quarters[0] += quarters[1];
    T sum = 0;
    for (int i = 0; i < Simd<T>::lanes / 4; ++i) sum += quarters[0][i];
    return sum;
}

// Loads `count` <= lanes neighbouring channels, `stride` elements apart; the rest is zero.
template <typename T>
inline Vec<T> load(const T* from, int64_t stride, int count) {
    Vec<T> x{};
    if (stride == 1 && count == Simd<T>::lanes) {
        std::memcpy(&x, from, sizeof x);
    } else {
        for (int i = 0; i < count; ++i) x[i] = from[i * stride];
    }
    return x;
}

template <typename T>
inline void store(T* to, int64_t stride, int count, Vec<T> x) {
    if (stride == 1 && count == Simd<T>::lanes) {
        std::memcpy(to, &x, sizeof x);
    } else {
        for (int i = 0; i < count; ++i) to[i * stride] = x[i];
    }
}
