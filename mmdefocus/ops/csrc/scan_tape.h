// What the backward of the selective scan keeps for a chunk, see scan.h.
#pragma once

#include <cstdint>
#include <vector>

#include "scan_layout.h"

// What the backward alone needs: decays and states before each token of one n along a chunk,
// sums for its rows, shares of dB and dC, (N, chunk), still one a lane.
template <typename T>
struct Tape {
    std::vector<Row<T>> dy, decay, h, dinput, ddelta, dbias, dA;
    std::vector<Vec<T>> dB, dC;

    Tape(const Sizes& sizes, int64_t width, int64_t panels)
        : dy(width * sizes.chunk),
          decay(sizes.chunk),
          h(sizes.chunk),
          dinput(sizes.chunk),
          ddelta(sizes.chunk),
          dbias(panels),
          dA(panels * sizes.state),
          dB(sizes.chunk * sizes.state),
          dC(sizes.chunk * sizes.state) {}
};
