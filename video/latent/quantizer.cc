// Finite scalar quantisation (Mentzer et al. 2023): dimension i is bounded to its L_i levels by a shifted tanh and
// rounded; values are scaled to [−1, 1]. A code id is the mixed-radix number of the levels, first dimension fastest.
#include <algorithm>
#include <cmath>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/elementwise.h"
#include "kernels/api/codec.h"
#include "video/latent/codec.h"

namespace orrery {

namespace {

// The bound of a dimension with `levels` values: z → tanh(z + shift) · half − offset lies in [−⌊L/2⌋, ⌈L/2⌉ − 1] after
// rounding.
struct Bound {
  float half, offset, shift, scale;
  explicit Bound(std::int64_t levels) {
    const double l = static_cast<double>(levels);
    half = static_cast<float>((l - 1) * 1.001 / 2);
    offset = levels % 2 == 0 ? 0.5f : 0.0f;
    shift = std::atanh(offset / half);
    scale = static_cast<float>(levels / 2);
  }
};

}  // namespace

std::vector<std::int64_t> CodecConfig::all_levels() const {
  std::vector<std::int64_t> all = levels;
  all.insert(all.end(), extra_levels.begin(), extra_levels.end());
  return all;
}

std::int64_t CodecConfig::codes() const {
  std::int64_t count = 1;
  for (const std::int64_t level : all_levels()) count *= level;
  return count;
}

Tensor LatentCodec::quantize(const Tensor& latents) const {
  const std::vector<std::int64_t> levels = config_.all_levels();
  const auto dims = static_cast<std::int64_t>(levels.size());
  const Tensor quantized = Tensor::empty_like(latents), slope = Tensor::empty_like(latents);
  ORRERY_ASSERT(dims <= kMostFsqDims, "[codec] ", dims, " dimensions, expected at most ", kMostFsqDims);
  FsqArgs args{latents.view(), quantized.view(), slope.view(), static_cast<int>(dims), {}, {}, {}, {}};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Bound bound(levels[i]);
    args.half[i] = bound.half;
    args.offset[i] = bound.offset;
    args.shift[i] = bound.shift;
    args.scale[i] = bound.scale;
  }
  ops::run(args);
  record("fsq", {latents}, {quantized},
         [slope](const std::vector<Tensor>& grads) { return std::vector<Tensor>{ops::mul(grads[0], slope)}; });
  return quantized;
}

std::vector<std::int32_t> LatentCodec::codes_of(const Tensor& quantized) const {
  const std::vector<std::int64_t> levels = config_.all_levels();
  const auto dims = static_cast<std::int64_t>(levels.size());
  const Tensor here = quantized.to(Device::cpu);
  const float* values = here.data<float>();
  std::vector<std::int32_t> codes(static_cast<std::size_t>(quantized.numel() / dims));
  for (std::size_t cell = 0; cell < codes.size(); ++cell) {
    std::int64_t code = 0, radix = 1;
    for (std::int64_t i = 0; i < dims; ++i) {
      const std::int64_t level = levels[static_cast<std::size_t>(i)];
      const auto digit =
          std::lround(values[static_cast<std::int64_t>(cell) * dims + i] * static_cast<float>(level / 2)) + level / 2;
      code += std::clamp<std::int64_t>(digit, 0, level - 1) * radix;
      radix *= level;
    }
    codes[cell] = static_cast<std::int32_t>(code);
  }
  return codes;
}

Tensor LatentCodec::latents_of(std::span<const std::int32_t> codes, std::int64_t count, std::int64_t rows,
                               std::int64_t columns) const {
  const std::vector<std::int64_t> levels = config_.all_levels();
  const auto dims = static_cast<std::int64_t>(levels.size());
  ORRERY_CHECK(static_cast<std::int64_t>(codes.size()) == count * rows * columns, "[codec] ", codes.size(),
               " codes, expected ", count, " x ", rows, " x ", columns);
  const Tensor latents = Tensor::empty({count, rows, columns, dims});
  float* values = latents.data<float>();
  const std::int64_t total = config_.codes();
  for (std::size_t cell = 0; cell < codes.size(); ++cell) {
    std::int64_t code = codes[cell];
    ORRERY_CHECK(code >= 0 && code < total, "[codec] code ", code, ", expected 0 to ", total - 1);
    for (std::int64_t i = 0; i < dims; ++i) {
      const std::int64_t level = levels[static_cast<std::size_t>(i)];
      values[static_cast<std::int64_t>(cell) * dims + i] =
          static_cast<float>(code % level - level / 2) / static_cast<float>(level / 2);
      code /= level;
    }
  }
  return latents;
}

}  // namespace orrery
