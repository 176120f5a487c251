// Windows of world clips for the codec's training: any moment of a clip, not only its begin.
#pragma once

#include "core/train/trainable.h"
#include "physics_eval/worlds/sample.h"
#include "video/latent/codec_training.h"

namespace orrery::pipeline {

struct CodecSourceOptions {
  std::uint64_t seed = 1;
  std::int64_t windows = 8;  ///< a batch
  std::int64_t latents = 5;  ///< latent frames a window; the first one is a single frame
  int size = 64;             ///< pixels a side
  double fps = 24;
  int longest = 240;                ///< windows start in the first so many frames of a clip
  double action_share = 0.2;        ///< of clips with a push in the window
  std::vector<std::string> scenes;  ///< empty: all
  worlds::Split split = worlds::Split::in_distribution;
  bool smooth_backgrounds = false;  ///< plain and gradient backgrounds only
  CodecWindow window;
};

class CodecSource : public BatchSource {
 public:
  explicit CodecSource(CodecSourceOptions options) : options_(std::move(options)) {}
  /// tensors: chunks [windows, latents, time_factor, H, W, 3] i8, pixel weights of the same shape, bf16
  /// (video/latent/codec_training.h).
  Batch batch(std::uint64_t index) const override;

 private:
  CodecSourceOptions options_;
};

}  // namespace orrery::pipeline
