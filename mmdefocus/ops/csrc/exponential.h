// The exponential on rows, and what is made of it. It needs no -ffast-math.
#pragma once

#include "simd.h"

// A NaN fails both comparisons and passes.
template <typename T>
inline Vec<T> clamp(Vec<T> x, T low, T high) {
    x = x < splat<T>(low) ? splat<T>(low) : x;
    return x > splat<T>(high) ? splat<T>(high) : x;
}

// x = k + r with k whole and |r| <= 1/2. `power` is k in the form that times_power_of_two takes.
template <typename T>
inline void split(Vec<T> x, Vec<T>& power, Vec<T>& r) {
    x = clamp<T>(x, Simd<T>::lowest, Simd<T>::highest);
    power = x + Simd<T>::round_magic;
    r = x - (power - Simd<T>::round_magic);
}

// p 2^k. The power is applied in two halves, so that results below the smallest normal number and
// above the largest come out right.
template <typename T>
inline Vec<T> times_power_of_two(Vec<T> p, Vec<T> power) {
    using S = Simd<T>;
    using IntVec = typename S::IntVec;
    const IntVec k = bits<IntVec>(power) - bits<typename S::Int>(T(S::round_magic));
    const IntVec half = k >> 1;
    const Vec<T> power_a = bits<Vec<T>>((half + S::exponent_bias) << S::mantissa_bits);
    const Vec<T> power_b = bits<Vec<T>>((k - half + S::exponent_bias) << S::mantissa_bits);
    return p * power_a * power_b;
}

// 2^x = 2^k 2^r. NaN passes.
template <typename T, int W>
MMDEFOCUS_INLINE Row<T, W> vexp2(const Row<T, W>& x) {
    using S = Simd<T>;
    Row<T, W> power, r;
    for (int i = 0; i < W; ++i) split<T>(x.part[i], power.part[i], r.part[i]);

    Row<T, W> p = r * S::coefficients[0] + S::coefficients[1];
#pragma GCC unroll 16
    for (int i = 2; i <= S::degree; ++i) p = p * r + S::coefficients[i];

    for (int i = 0; i < W; ++i) p.part[i] = times_power_of_two<T>(p.part[i], power.part[i]);
    return p;
}

#ifdef __AVX512DQ__
// 2^x = 2^k 2^(j / 16) 2^r. The table of the second factor leaves |r| <= 1/32, for which three terms
// do, 1.6e-9 off, and there are instructions for the first and for r; the compilers do not find
// them. NaN passes.
template <int W>
MMDEFOCUS_INLINE Row<float, W> vexp2(const Row<float, W>& x) {
    constexpr int nearest_16th = 4 << 4 | _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    constexpr float magic =
        Simd<float>::round_magic / 16;  // adding it leaves j in the last four bits
    const Vec<float> powers = {1.f,         1.04427373f, 1.09050775f, 1.13878858f,
                               1.18920708f, 1.24185777f, 1.29683959f, 1.35425556f,
                               1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f,
                               1.68179286f, 1.75625217f, 1.8340081f,  1.91520655f};
    Row<float, W> r, power, y;
    for (int i = 0; i < W; ++i) r.part[i] = _mm512_reduce_ps(x.part[i], nearest_16th);
    for (int i = 0; i < W; ++i) power.part[i] = x.part[i] - r.part[i];
    const Row<float, W> p = ((r * 0.0555059500f + 0.240234286f) * r + 0.693147182f) * r;
    for (int i = 0; i < W; ++i) {
        const __m512i j = _mm512_castps_si512(power.part[i] + magic);
        const Vec<float> of_j = _mm512_permutexvar_ps(j, powers);
        y.part[i] = _mm512_scalef_ps(of_j * p.part[i] + of_j, power.part[i]);  // floors the power
    }
    return y;
}
#endif

template <typename T, int W>
MMDEFOCUS_INLINE Row<T, W> sigmoid(const Row<T, W>& x) {
    Row<T, W> y = vexp2(x * -Simd<T>::log2_e) + T(1);
    for (int i = 0; i < W; ++i) y.part[i] = T(1) / y.part[i];
    return y;
}

// silu(x) = x sigmoid(x)
template <typename T, int W>
inline Row<T, W> silu_derivative(const Row<T, W>& x, const Row<T, W>& sigmoid) {
    return sigmoid * (x * (sigmoid * T(-1) + T(1)) + T(1));
}

// With e = e^-|x|, softplus(x) = max(x, 0) + log(1 + e), and log(1 + e) = 2 artanh(e / (2 + e)): the
// series in s = e / (2 + e) <= 1/3 keeps its relative accuracy however small e is. Its terms are
// s^2k / (2k + 1); the first one left out is below 1.5e-8 (float) and 2e-17 (double) of the sum.
template <typename T>
constexpr int softplus_terms = sizeof(T) == sizeof(float) ? 7 : 16;

template <typename T, int W>
inline Row<T, W> exp_of_minus_abs(const Row<T, W>& x) {
    Row<T, W> y;
    for (int i = 0; i < W; ++i)
        y.part[i] = (x.part[i] < Vec<T>{} ? x.part[i] : -x.part[i]) * Simd<T>::log2_e;
    return vexp2(y);
}

// NaN passes.
template <typename T, int W>
inline Row<T, W> softplus(const Row<T, W>& x) {
    const Row<T, W> e = exp_of_minus_abs(x);
    Row<T, W> s;
    for (int i = 0; i < W; ++i) s.part[i] = e.part[i] / (e.part[i] + T(2));
    const Row<T, W> square = s * s;
    constexpr int last = softplus_terms<T> - 1;
    Row<T, W> sum = square * T(1. / (2 * last + 1)) + T(1. / (2 * last - 1));
#pragma GCC unroll 16
    for (int k = last - 2; k >= 0; --k) sum = sum * square + T(1. / (2 * k + 1));
    Row<T, W> y = s * sum * T(2);
    for (int i = 0; i < W; ++i) y.part[i] += x.part[i] > Vec<T>{} ? x.part[i] : Vec<T>{};
    return y;
}
