// Windows of world clips with what the simulator knows of them, for the video encoder's training: half of them with a
// law broken within the window, some of them spoilt as generated and stored videos are.
#pragma once

#include "apps/pipeline/encoder_training.h"
#include "core/train/trainable.h"
#include "physics_eval/worlds/sample.h"

namespace orrery::pipeline {

struct FeatureSourceOptions {
  std::uint64_t seed = 1;
  std::int64_t windows = 16;  ///< a batch
  std::int64_t frames = 16;   ///< a window
  int size = 64;              ///< pixels a side
  double fps = 24;
  int longest = 72;                 ///< windows start in the first so many frames of a clip
  double broken_share = 0.5;        ///< of windows in which a law is broken
  double spoilt_share = 0.3;        ///< of windows with noise; as many are blurred, and in as many frames change places
  std::vector<std::string> scenes;  ///< drawn evenly; a name may stand several times. Empty: all
  worlds::Split split = worlds::Split::in_distribution;
};

class FeatureSource : public BatchSource {
 public:
  explicit FeatureSource(FeatureSourceOptions options) : options_(std::move(options)) {}
  /// How many targets of each sort the batches have.
  static EncoderTargets targets();
  /// As EncoderTraining wants it (encoder_training.h).
  Batch batch(std::uint64_t index) const override;

 private:
  FeatureSourceOptions options_;
};

}  // namespace orrery::pipeline
