// Drawing codes on the device (core/generate/code_draw.h, sampler.h): the same codes as the host draws from the same
// rows, so that a latent frame's tokens need no word from the host.
#pragma once

#include <cstdint>

#include "kernels/api/decode_step.h"

namespace orrery {

/// One sequence's next draw, in device memory.
struct StepDraw {
  std::uint64_t seed = 0, position = 0;  ///< of the random number; the position counts up by one a draw
  double temperature = 1, top_p = 1;
  double least = 0;        ///< logarithm of the least share of the likeliest code's probability
  std::int64_t top_k = 0;  ///< 0: no limit
  float guidance = 1;
  std::int32_t row = 0;       ///< the token whose row is drawn from, and which gets the id and the next position
  std::int32_t without = -1;  ///< that of the sequence without a prompt, which follows; −1: no guidance
  std::int32_t drawn = 0;     ///< so far
};

struct StepDrawArgs {
  static constexpr const char* kOp = "step_draw";
  /// First digits that the kernel can sort in a block's memory.
  static constexpr std::int64_t kMostCodes = 8192;
  StepDraw* draws = nullptr;
  std::int64_t count = 0;
  StepToken* tokens = nullptr;
  const float* rows = nullptr;  ///< [T, row_size]: logits of the table's ids, then the extra head's units
  std::int64_t row_size = 0, vocab = 0;
  StepIds ids;
  std::int32_t digits = 0;  ///< first digits of a code, beside the extra ones of `ids`
  std::int32_t digit_levels[StepIds::kMostDigits] = {};
  std::int64_t unit_count = 0, unit_width = 0;       ///< of the extra head, and a digit's own of them
  const float* bias = nullptr;                       ///< [units]
  const float *first = nullptr, *earlier = nullptr;  ///< [Σ digit_levels, units], [Σ levels, units]
  const float *out = nullptr, *out_bias = nullptr;   ///< [Σ levels, unit_width], [Σ levels]
  std::int32_t* drawn = nullptr;                     ///< [count, most]: the ids; −1 where a logit was not a number
  std::int64_t most = 0;
  Device device() const { return Device::cuda; }
};

}  // namespace orrery
