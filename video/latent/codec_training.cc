#include "video/latent/codec_training.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

constexpr int kMotionStep = 10;  ///< of 255: more than an encoder's noise
constexpr int kEdgeStep = 20;

int difference(const std::uint8_t* a, const std::uint8_t* b) {
  return std::max({std::abs(a[0] - b[0]), std::abs(a[1] - b[1]), std::abs(a[2] - b[2])});
}

float pixel_weight(std::span<const Frame> frames, std::size_t t, int x, int y, const CodecWindow& window) {
  const Frame& frame = frames[t];
  const std::uint8_t* here = frame.at(x, y);
  float weight = 1;
  const bool moves = (t > 0 && difference(here, frames[t - 1].at(x, y)) > kMotionStep) ||
                     (t + 1 < frames.size() && difference(here, frames[t + 1].at(x, y)) > kMotionStep);
  const bool edge = (x + 1 < frame.width() && difference(here, frame.at(x + 1, y)) > kEdgeStep) ||
                    (y + 1 < frame.height() && difference(here, frame.at(x, y + 1)) > kEdgeStep);
  if (moves) weight += static_cast<float>(window.motion_weight);
  if (edge) weight += static_cast<float>(window.edge_weight);
  return weight;
}

}  // namespace

void CodecWindow::append(std::span<const Frame> frames, std::vector<float>& chunks, std::vector<float>& weights) const {
  ORRERY_ASSERT(!frames.empty() && (static_cast<std::int64_t>(frames.size()) - 1) % time_factor == 0,
                "[codec] a window of ", frames.size(), " frames, expected 1 + k·", time_factor);
  for (std::size_t t = 0; t < frames.size(); ++t) {
    const std::int64_t copies = t == 0 ? time_factor : 1;
    for (std::int64_t copy = 0; copy < copies; ++copy) {
      for (const std::uint8_t byte : frames[t].bytes())
        chunks.push_back(static_cast<float>(byte) * (2.0f / 255.0f) - 1.0f);
      // Of a frame that stands alone only the last copy is shown.
      const float shown = copy + 1 == copies ? 1.0f : 0.0f;
      for (int y = 0; y < frames[t].height(); ++y)
        for (int x = 0; x < frames[t].width(); ++x)
          weights.insert(weights.end(), 3, shown * pixel_weight(frames, t, x, y, *this));
    }
  }
}

Tensor CodecTraining::quantized(const Tensor& chunks) const {
  if (frozen_ != Frozen::encoder) return codec_.quantize(codec_.encode(chunks, frozen_ == Frozen::encoder_but_extra));
  const NoGrad guard;
  return codec_.quantize(codec_.encode(chunks)).detach();
}

// Latents [N, rows, columns, dims] with the extra dimensions of some windows zero, as if their digits were not known:
// so the first digits learn to say most (nested dropout, Rippel et al. 2014).
Tensor CodecTraining::without_some_extra(const Tensor& latents, std::int64_t windows, std::int64_t step) const {
  const auto first = static_cast<std::int64_t>(codec_.config().levels.size());
  const std::int64_t dims = latents.dim(3), length = latents.dim(0) / windows;
  if (extra_dropout_ <= 0 || dims == first) return latents;
  Random random(static_cast<std::uint64_t>(step), 0x6E657374);
  const Tensor kept = Tensor::full({latents.dim(0), 1, 1, dims}, 1);
  for (std::int64_t w = 0; w < windows; ++w) {
    if (!random.chance(extra_dropout_)) continue;
    for (std::int64_t row = w * length; row < (w + 1) * length; ++row)
      std::fill_n(kept.data<float>() + row * dims + first, dims - first, 0.0f);
  }
  return ops::mul(latents, kept.to(latents.device()));
}

StepLoss CodecTraining::loss(const Batch& batch, std::int64_t step, bool training) {
  const CodecConfig& c = codec_.config();
  const Device device = codec_.parameters().all().front().value.device();
  const Tensor given = batch.tensors.at(0).to(device),
               chunks = given.dtype() == DType::i8
                            ? ops::affine(ops::cast(given, DType::f32), 2.0f / 255.0f, 256.0f / 255.0f - 1.0f)
                            : given;
  const std::int64_t windows = chunks.dim(0), length = chunks.dim(1), t = chunks.dim(2), h = chunks.dim(3),
                     w = chunks.dim(4);
  const Tensor flat = chunks.reshaped({windows * length, t, h, w, 3}),
               weights = batch.tensors.at(1).to(device).to(DType::f32).reshaped(flat.shape());
  const auto total = [](const Tensor& x) { return double{ops::sum(x).item()}; };
  const double weight_sum = total(weights);  // asked for early: the device has nothing else to do yet
  const Tensor found = quantized(flat), latents = training ? without_some_extra(found, windows, step) : found;
  const std::int64_t rows = latents.dim(1), columns = latents.dim(2), dims = latents.dim(3);

  Tensor history;
  if (c.history > 0) {
    // Earlier latents by shifting along the window, zeros before its begin; the oldest first.
    const Tensor sequence = ops::reshape(latents, {windows, length, rows * columns * dims});
    std::vector<Tensor> parts;
    for (std::int64_t back = c.history; back >= 1; --back) {
      Tensor shifted;
      if (back >= length) {
        shifted = Tensor::zeros({windows, length, rows * columns * dims}, DType::f32, device);
      } else {
        const Tensor zeros = Tensor::zeros({windows, back, rows * columns * dims}, DType::f32, device);
        shifted = ops::concat({zeros, ops::narrow(sequence, 1, 0, length - back)}, 1);
      }
      parts.push_back(ops::reshape(shifted, {windows * length, rows, columns, dims}));
    }
    history = ops::concat(parts, 3);
  }
  const Tensor decoded = codec_.decode(latents, history);
  const Tensor square = ops::square(ops::sub(decoded, flat));
  StepLoss result;
  result.loss = ops::scale(ops::sum(ops::mul(square, weights)), static_cast<float>(1 / weight_sum));
  const NoGrad guard;
  const Tensor shown = ops::less(Tensor::zeros({1}, DType::f32, device), weights);
  // The signal's range is 2 here: PSNR = 10·log10(4 / mean square).
  result.metrics = {
      {"psnr", 10 * std::log10(4 * total(shown) / std::max(1e-12, total(ops::mul(square.detach(), shown))))}};
  return result;
}

}  // namespace orrery
