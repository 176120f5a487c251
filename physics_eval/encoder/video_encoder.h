// A small network that turns 16 frames of 64 × 64 into a vector: separable convolutions over space and time (as
// R(2+1)D, Tran et al. 2018, arXiv 1711.11248), a cell's mean and largest answer over time, one linear layer. Trained
// on the worlds (apps/pipeline/encoder_training.h) and shipped as the `builtin` features of the Fréchet distance.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/nn/parameters.h"
#include "video/frames/frame.h"

namespace orrery {

class Random;

struct EncoderConfig {
  std::int64_t frames = 16;                      ///< a window's; a multiple of 4
  std::int64_t side = 64;                        ///< pixels; a multiple of 16
  std::vector<std::int64_t> widths{32, 64, 96};  ///< channels at 1/4, 1/8 and 1/16 of the side
  std::int64_t cell_width = 32;                  ///< channels of a cell before the last layer
  std::int64_t dimension = 160;                  ///< of the vector

  /// Throws InputError naming the field.
  void validate() const;
};

EncoderConfig parse_encoder_config(const std::string& json_text, const std::string& source);
std::string to_json(const EncoderConfig& config);

class VideoEncoder {
 public:
  VideoEncoder(EncoderConfig config, Random& random);

  const EncoderConfig& config() const { return config_; }
  const ParameterList& parameters() const { return parameters_; }

  /// Clips [N, frames, side, side, 3] in [−1, 1] → [N, dimension], recorded. Throws InputError for another shape.
  Tensor embed(const Tensor& clips) const;

  /// The vector of a clip of frames of any number and one size: the mean over windows that begin every half window, and
  /// the last one at the clip's end. Thread-safe. `frames` are `side` × `side`; throws InputError for fewer than a
  /// window or another size.
  std::vector<double> describe(std::span<const Frame> frames) const;

  /// The same network with another vector: head [answers, dimension] times this one's, and bias.
  VideoEncoder answering(const Tensor& head, const Tensor& bias) const;
  /// Scales each value so that over these vectors [N, dimension] of embed() it would have had mean 0 and variance 1:
  /// then none counts more in a Fréchet distance for the unit it is in. Throws InputError for fewer than two vectors.
  void standardise(const Tensor& vectors);

 private:
  /// Half a window's share of a residual block: space, then time.
  struct Block {
    Tensor norm, space, space_bias, time, time_bias;
  };
  struct Level {
    Tensor weight, bias;
    Block block;
  };

  EncoderConfig config_;
  ParameterList parameters_;
  std::vector<Level> levels_;
  Tensor norm_, cell_, cell_bias_, out_, out_bias_;
};

/// encoder.json and encoder.safetensors in a folder.
void save_encoder(const VideoEncoder& encoder, const std::string& folder);
/// Throws InputError that names what is missing or broken.
VideoEncoder load_encoder(const std::string& folder);

}  // namespace orrery
