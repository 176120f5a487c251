// Where a decoding step finds a sequence's rows (kernels/api/decode_step.h), and the angles that turn them.
#pragma once

#include <cmath>

#include "kernels/api/decode_step.h"
#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

/// A ring's row of a position.
ORRERY_ON_DEVICE float* ring_row(float* cache, std::int64_t begin, std::int64_t rows, std::int32_t position,
                                 std::int64_t width) {
  return cache + begin + position % static_cast<std::int32_t>(rows) * width;
}

/// The rows of a layer that grow with the sequence.
ORRERY_ON_DEVICE float* grown_rows(const StepToken& token, const StepCache& cache, const StepRows& rows) {
  return token.cache + cache.fixed + token.units * rows.grown;
}

/// Rows that stand for all tokens up to this one.
ORRERY_ON_DEVICE std::int32_t visible_rows(const StepToken& token, const StepRows& rows) {
  return rows.rate == 0 ? 0 : (token.position + 1) / static_cast<std::int32_t>(rows.rate);
}

/// The id `ago` tokens before token `t` of the step: out of the step where it has it, else out of the cache.
ORRERY_ON_DEVICE std::int32_t earlier_id(const StepToken* tokens, std::int64_t t, std::int32_t ago,
                                         const StepCache& cache) {
  const StepToken& token = tokens[t];
  if (ago <= t - token.first) return tokens[t - ago].id;
  const auto* ids = reinterpret_cast<const std::int32_t*>(token.cache);
  return ids[1 + (token.position - ago) % static_cast<std::int32_t>(cache.id_ring)];
}

/// cos and sin of a pair's angle.
struct Turn {
  float cos, sin;
};
ORRERY_ON_DEVICE Turn turn_of(const StepRope& rope, int pair, std::int32_t position, std::int32_t id, float frequency) {
  std::int32_t place = position;
  if (rope.axes != nullptr && (id == rope.frame_mark || id >= rope.first_in_frame)) {
    const std::int32_t k = position % rope.group - rope.header;
    const std::int32_t axis = rope.axes[pair];
    if (axis == 0) place = position - position % rope.group;
    if (axis == 1) place = k < 0 ? -1 : rope.cells[k] / rope.columns;
    if (axis == 2) place = k < 0 ? k + rope.header : rope.cells[k] % rope.columns;
  }
  const auto angle = static_cast<double>(static_cast<float>(place) * frequency);
  return {static_cast<float>(cos(angle)), static_cast<float>(sin(angle))};
}

}  // namespace orrery::gpu
