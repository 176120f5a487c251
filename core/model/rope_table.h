// Rotary tables: cos and sin for each position and pair, with YaRN's blending of frequencies (Peng et al. 2023).
#pragma once

#include "core/model/config.h"
#include "core/tensor/tensor.h"

namespace orrery {

struct RopeTable {
  Tensor cos, sin;  ///< [positions, rope_dim / 2] f32
};

/// Inverse frequencies of the rope_dim / 2 pairs, as transformers computes them.
std::vector<float> rope_frequencies(const RopeConfig& config, std::int64_t rope_dim);

/// Positions first, first + step, … (compressed entries step by their rate).
RopeTable rope_table(const RopeConfig& config, std::int64_t rope_dim, std::int64_t first, std::int64_t count,
                     std::int64_t step = 1);

}  // namespace orrery
