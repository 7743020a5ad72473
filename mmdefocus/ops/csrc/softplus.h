// softplus(x) = log(1 + e^x) and its derivative, the sigmoid, on rows.
#pragma once

#include "simd.h"

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
