#include "core/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace orrery {

namespace {

// The pair index at which a wave turns `rotations` times over the original length.
double correction_index(double rotations, std::int64_t dim, const RopeConfig& config) {
  return static_cast<double>(dim) *
         std::log(static_cast<double>(config.original_length) / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& config, std::int64_t rope_dim) {
  const auto pairs = static_cast<std::size_t>(rope_dim / 2);
  std::vector<float> frequencies(pairs);
  const double low = std::max(0.0, std::floor(correction_index(config.beta_fast, rope_dim, config)));
  double high =
      std::min(static_cast<double>(rope_dim - 1), std::ceil(correction_index(config.beta_slow, rope_dim, config)));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < pairs; ++i) {
    const double base = std::pow(config.theta, 2.0 * static_cast<double>(i) / static_cast<double>(rope_dim));
    double frequency = 1.0 / base;
    if (config.factor > 1) {
      // 1: interpolated (divided by factor), 0: as it was.
      const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      frequency = frequency / config.factor * ramp + frequency * (1 - ramp);
    }
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

RopeTable rope_table(const RopeConfig& config, std::int64_t rope_dim, std::int64_t first, std::int64_t count,
                     std::int64_t step) {
  const std::vector<float> frequencies = rope_frequencies(config, rope_dim);
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  RopeTable table{Tensor::empty({count, pairs}), Tensor::empty({count, pairs})};
  float *cosines = table.cos.data<float>(), *sines = table.sin.data<float>();
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t i = 0; i < pairs; ++i) {
      // The angle is rounded to f32 first, as the public implementation does.
      const float angle = static_cast<float>(first + t * step) * frequencies[static_cast<std::size_t>(i)];
      cosines[t * pairs + i] = std::cos(angle);
      sines[t * pairs + i] = std::sin(angle);
    }
  return table;
}

}  // namespace orrery
