// Sizes and scratch of the fast hyper-connection kernels.
#pragma once

#include <cstdint>

#include "kernels/api/hyper_connection.h"

namespace orrery {

inline constexpr std::int64_t kHcBlock = 32;     // tokens worked on together
inline constexpr std::int64_t kMostStreams = 8;  // n

struct HcPlan {
  std::int64_t tokens, n, d, rows;  // rows of fn
  std::int64_t width, padded;       // n · d, and rounded up to 16
  std::int64_t padded_rows;         // rows rounded up to 16
  int iterations;
  const float* fn = nullptr;       // [rows][padded]
  const float* fn_last = nullptr;  // [width][padded_rows]

  template <class Args>
  explicit HcPlan(const Args& args)
      : tokens(args.x.shape[0]),
        n(args.x.shape[1]),
        d(args.x.shape[2]),
        rows(args.fn.shape[0]),
        width(n * d),
        padded((width + 15) / 16 * 16),
        padded_rows((rows + 15) / 16 * 16),
        iterations(args.options.iterations) {}

  std::int64_t stage_floats(std::int64_t lanes) const { return 2 * iterations * n * n * lanes; }
  std::int64_t lane_floats(std::int64_t lanes) const { return rows * lanes + stage_floats(lanes); }
};

/// A chunk's share of the parameters' gradients.
struct HcShare {
  float* fn;     // [rows][padded]
  float* base;   // [rows]
  float* scale;  // [3]
};

}  // namespace orrery
