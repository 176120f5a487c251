// Training of the latent codec: windows of a few latent frames, squared error that counts moving and edged pixels more.
#pragma once

#include "core/train/trainable.h"
#include "video/latent/codec.h"

namespace orrery {

/// A window of frames as the codec's training batch wants it: appends one window's chunks to `chunks` and its pixel
/// weights to `weights`. The first frame is a latent frame alone; frames.size() = 1 + k · time_factor.
/// Weight of a pixel: 1, + motion_weight where it differs from the frame before or after, + edge_weight on edges.
struct CodecWindow {
  double motion_weight = 6, edge_weight = 3;
  std::int64_t time_factor = 4;
  void append(std::span<const Frame> frames, std::vector<float>& chunks, std::vector<float>& weights) const;
};

/// batch.tensors: chunks [B, L, time_factor, H, W, 3], f32 in [−1, 1] or i8 (a pixel's byte − 128), and weights of the
/// same shape, f32 or bf16.
class CodecTraining : public Trainable {
 public:
  /// `frozen`: what stays as it is, so that a transformer trained on these digits of the codes goes on fitting.
  enum class Frozen { nothing, encoder, encoder_but_extra };
  /// `extra_dropout`: share of windows whose extra digits the decoder does not see in training.
  explicit CodecTraining(LatentCodec& codec, Frozen frozen = Frozen::nothing, double extra_dropout = 0)
      : codec_(codec), frozen_(frozen), extra_dropout_(extra_dropout) {}
  const ParameterList& parameters() const override { return codec_.parameters(); }
  StepLoss loss(const Batch& batch, std::int64_t step, bool training) override;
  void save(const std::string& folder) const override { save_codec(codec_, folder); }

 private:
  Tensor quantized(const Tensor& chunks) const;
  Tensor without_some_extra(const Tensor& latents, std::int64_t windows, std::int64_t step) const;

  LatentCodec& codec_;
  Frozen frozen_;
  double extra_dropout_;
};

}  // namespace orrery
