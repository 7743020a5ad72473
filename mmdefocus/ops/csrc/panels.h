// Tensors (B, D, L) of any strides and element type, read and written in rows of channels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simd.h"

// A tensor (B, D, L) or (B, N, L) with the strides of its dimensions in elements. It holds bfloat16,
// or the type T of the computation.
struct Sequence {
    void* data;
    int64_t batch, channel, time;
    int64_t is_bfloat16;

    template <typename S>
    S* at(int64_t b, int64_t c, int64_t t) const {
        return static_cast<S*>(data) + b * batch + c * channel + t * time;
    }
};

template <typename T, typename F>
inline auto with_element_type(const Sequence& sequence, F f) {
    if constexpr (std::is_same_v<T, float>)
        if (sequence.is_bfloat16) return f(BFloat16{});
    return f(T{});
}

// Channels [channel, channel + Row::lanes) of an image, of which only those below `channels` exist.
template <typename T>
struct Panel {
    int64_t image, channel, channels;

    // Whether all channels exist and are neighbours in memory: a row is one piece then.
    bool dense(const Sequence& sequence) const {
        return sequence.channel == 1 && !sequence.is_bfloat16 &&
               channel + Row<T>::lanes <= channels;
    }

    int count(int part) const {
        const int64_t left = channels - channel - part * Simd<T>::lanes;
        return int(std::clamp<int64_t>(left, 0, Simd<T>::lanes));
    }

    // Calls f(part, first channel of the part, its number of channels).
    template <typename F>
    void for_each_part(F f) const {
        for (int i = 0; i < Row<T>::lanes / Simd<T>::lanes; ++i)
            if (count(i) > 0) f(i, channel + i * Simd<T>::lanes, count(i));
    }

    Row<T> load(const Sequence& from, int64_t t) const {
        if (dense(from)) {
            Row<T> row;
            std::memcpy(&row, from.at<T>(image, channel, t), sizeof row);
            return row;
        }
        return with_element_type<T>(from, [&](auto element) {
            Row<T> row{};
            for_each_part([&](int i, int64_t c, int n) {
                const auto* address = from.at<const decltype(element)>(image, c, t);
                row.part[i] = ::load(address, from.channel, n);
            });
            return row;
        });
    }

    void store(const Sequence& to, int64_t t, const Row<T>& row) const {
        if (dense(to)) {
            std::memcpy(to.at<T>(image, channel, t), &row, sizeof row);
            return;
        }
        with_element_type<T>(to, [&](auto element) {
            for_each_part([&](int i, int64_t c, int n) {
                ::store(to.at<decltype(element)>(image, c, t), to.channel, n, row.part[i]);
            });
        });
    }

    // Rows lie pages apart, where the hardware does not look ahead.
    void prefetch(const Sequence& from, int64_t t) const {
        if (dense(from)) {
            const T* row = from.at<T>(image, channel, t);
            for (int i = 0; i < Row<T>::lanes; i += Simd<T>::lanes) ::prefetch(row + i);
            return;
        }
        with_element_type<T>(from, [&](auto element) {
            for_each_part([&](int, int64_t c, int) {
                ::prefetch(from.at<const decltype(element)>(image, c, t));
            });
        });
    }
};
