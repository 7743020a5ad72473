// Tensors (B, D, L) of any strides and element type, read and written in rows of channels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "simd.h"

// A tensor (B, D, L) or (B, N, L) with the strides of its dimensions in elements. It holds
// bfloat16, or the type T of the computation.
struct StridedTensor {
    void* data;
    int64_t batch, channel, time;
    int64_t is_bfloat16;

    template <typename S>
    S* at(int64_t b, int64_t c, int64_t t) const {
        return static_cast<S*>(data) + b * batch + c * channel + t * time;
    }
};

template <typename T, typename F>
inline auto with_element_type(const StridedTensor& tensor, F f) {
    if constexpr (std::is_same_v<T, float>)
        if (tensor.is_bfloat16) return f(BFloat16{});
    return f(T{});
}

// Channels [channel, channel + Row::lanes) of an image, of which only those below `channels` exist.
template <typename T>
struct Panel {
    int64_t image, channel, channels;

    // Whether all channels exist and are neighbours in memory: a row is one piece then.
    bool dense(const StridedTensor& tensor) const {
        return tensor.channel == 1 && channel + Row<T>::lanes <= channels;
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

    MMDEFOCUS_INLINE Row<T> load(const StridedTensor& from, int64_t t) const {
        if (!dense(from)) return load_parts(from, t);
        if constexpr (std::is_same_v<T, float>)
            if (from.is_bfloat16) return load_whole<T>(from.at<const BFloat16>(image, channel, t));
        return load_whole<T>(from.at<const T>(image, channel, t));
    }

    MMDEFOCUS_INLINE void store(const StridedTensor& to, int64_t t, const Row<T>& row) const {
        if (!dense(to)) return store_parts(to, t, row);
        if constexpr (std::is_same_v<T, float>)
            if (to.is_bfloat16) return store_whole(to.at<BFloat16>(image, channel, t), row);
        store_whole(to.at<T>(image, channel, t), row);
    }

private:
    __attribute__((noinline)) Row<T> load_parts(const StridedTensor& from, int64_t t) const {
        return with_element_type<T>(from, [&](auto element) {
            Row<T> row{};
            for_each_part([&](int i, int64_t c, int n) {
                const auto* address = from.at<const decltype(element)>(image, c, t);
                row.part[i] = ::load(address, from.channel, n);
            });
            return row;
        });
    }

    __attribute__((noinline)) void store_parts(const StridedTensor& to, int64_t t,
                                               const Row<T>& row) const {
        with_element_type<T>(to, [&](auto element) {
            for_each_part([&](int i, int64_t c, int n) {
                ::store(to.at<decltype(element)>(image, c, t), to.channel, n, row.part[i]);
            });
        });
    }
};

// Prefetches the rows of some tensors, a few cache lines for each token. The rows lie pages apart, and
// the hardware does not look ahead across pages. A processor stalls when more lines are under way than
// it has buffers for, so each token asks for few.
template <typename T>
class Ahead {
public:
    static constexpr int line = 64;  // bytes
    static constexpr int lines = (sizeof(Row<T>) + line - 1) / line;

    // Adds line i of the rows of a panel from `time` on, if there is a place left.
    void add(const Panel<T>& panel, const StridedTensor& tensor, int64_t time, int i) {
        const int64_t bytes = tensor.is_bfloat16 ? sizeof(BFloat16) : sizeof(T);
        if (used == places || !panel.dense(tensor) || i * line >= Row<T>::lanes * bytes) return;
        const char* row = tensor.at<char>(panel.image * bytes, panel.channel * bytes, time * bytes);
        from[used] = row + i * line;
        stride[used++] = tensor.time * bytes;
    }

    void fetch(int64_t t) const {
        unrolled<places>([&](int i) { prefetch(from[i] + t * stride[i]); });
    }

private:
    static constexpr int places = 2;
    static constexpr char nowhere = 0;  // soon in the cache, where hints end at once

    int used = 0;
    const char* from[places] = {&nowhere, &nowhere};
    int64_t stride[places] = {};
};
