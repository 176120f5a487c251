// Layers of a decoding step on a device, kernel by kernel, and the buffers between them. Inside of Decoder; only
// core/generate includes it.
#pragma once

#include "core/generate/device_weights.h"

namespace orrery::decode {

class DeviceSteps {
 public:
  DeviceSteps(const Decoder::Packed& packed, Device device, const DeviceLimits& limits);

  /// Tokens (in device memory) through the layers; what the head reads is there until the next call.
  void run(const StepToken* tokens, std::int64_t count);
  /// Rows [count, row_size] after the tokens that `which` numbers (in device memory; nullptr: all in order), to `to`.
  void head(const std::int32_t* which, std::int64_t count, float* to);

  const DeviceWeights& weights() const { return weights_; }
  /// Makes sure that sequences with room for so many units fit. True where recorded steps no longer hold.
  bool reserve(std::int64_t units);

 private:
  void join(const DeviceHyper& hyper, const Tensor& norm, bool first, std::int64_t count);
  void attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count);
  // The parts of attention, with a window and with V3's rows.
  void queries(const DeviceLayer& layer, std::int64_t count);
  void window_attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count);
  void latent_attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count);
  void index(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count, std::int64_t query_column);
  void grouped(const Tensor& x, std::int64_t x_stride, const DeviceMatrix& matrix, std::int64_t groups, const Tensor& y,
               std::int64_t count);
  void experts(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count);

  const ModelConfig config_;
  Device device_;
  DeviceWeights weights_;
  std::int64_t most_;  ///< tokens of a step
  Tensor state_, post_, comb_, hidden_, part_, main_turns_, compress_turns_;
  Tensor in_, q_, absorbed_, mixed_, low_;
  Tensor logits_, given_, ids_, shares_, active_;
  Tensor scores_, chosen_;
  std::int64_t units_ = 0, scored_ = 0;  ///< that the scores have room for; entries of that
};

}  // namespace orrery::decode
