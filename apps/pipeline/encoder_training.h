// Training of the video encoder: one linear layer reads from its vector what the simulator knows of the clip. These
// answers are what a Fréchet distance then compares, as it does I3D's.
#pragma once

#include <cstdint>
#include <string>

#include "core/train/trainable.h"
#include "physics_eval/encoder/video_encoder.h"

namespace orrery::pipeline {

/// How much of each sort a batch's targets have.
struct EncoderTargets {
  std::int64_t scenes = 0;  ///< classes
  std::int64_t breaks = 0;  ///< classes: lawful, and the laws that may be broken
  std::int64_t marks = 0;   ///< yes or no
  std::int64_t values = 0;  ///< numbers of about unit size
};

/// A batch's clips as VideoEncoder::embed() wants them, on the batch's device.
Tensor clips_of(const Batch& batch);

/// batch.tensors: clips i8 [B, frames, side, side, 3] (a pixel's byte − 128), classes i32 [B, 2] (scene and break;
/// below 0: not asked), marks f32 [B, marks] of 0 and 1, values f32 [B, values].
class EncoderTraining : public Trainable {
 public:
  EncoderTraining(VideoEncoder& encoder, EncoderTargets targets, Random& random);

  const ParameterList& parameters() const override { return parameters_; }
  /// Metrics: "scene" and "break", the shares named right; "marks", the mean loss of a mark in nats; "values", 1 − the
  /// share of the values' squares that is left.
  StepLoss loss(const Batch& batch, std::int64_t step, bool training) override;
  /// The encoder as users have it: its vector is the answers, in the order scenes, breaks, marks, values.
  void save(const std::string& folder) const override;

 private:
  VideoEncoder& encoder_;
  EncoderTargets targets_;
  ParameterList parameters_;
  Tensor head_, head_bias_;
};

}  // namespace orrery::pipeline
