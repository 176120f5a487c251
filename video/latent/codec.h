// The latent codec: frames ↔ codes. Causal in time: a latent frame stands for `time_factor` frames and the decoder sees
// the latents before it, so streams of any length decode in bounded memory and without seams. Codes by finite scalar
// quantisation (Mentzer et al. 2023, FSQ). A clip has 1 + k·time_factor frames: the first latent frame is one frame
// alone.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "core/nn/parameters.h"
#include "video/frames/frame.h"

namespace orrery {

class Random;

struct CodecConfig {
  std::int64_t time_factor = 4;   ///< frames a latent frame: 1 or 4
  std::int64_t space_factor = 8;  ///< pixels a code cell's side: 8 or 16
  std::int64_t width = 192;       ///< channels at the code grid
  std::int64_t fine_width = 96;   ///< channels of the decoder's last blocks, at twice the grid
  std::int64_t encoder_blocks = 4;
  /// 1: a code depends on its own cell alone, so what stands still keeps its codes exactly (half of all codes changed
  /// from frame to frame with 3, and a transformer cannot predict that); 3: on its neighbours too.
  std::int64_t encoder_kernel = 1;
  std::int64_t decoder_blocks = 4;
  std::int64_t fine_blocks = 2;
  /// Hidden channels of the last layer's second path. A cell of the fine grid has time_factor · (space_factor / 2)² · 3
  /// values, more than fine_width, and a linear layer alone rings around sharp edges. 0: none.
  std::int64_t detail_width = 0;
  std::int64_t history = 2;                            ///< earlier latent frames that the decoder sees
  std::vector<std::int64_t> levels = {8, 8, 5, 5, 5};  ///< FSQ levels
  /// Levels of further dimensions, which an encoder of their own makes and the decoder adds to the others. A codec
  /// without them goes on from where it was when it gets them, and its codes' other digits stay (docs/decisions/0011).
  std::vector<std::int64_t> extra_levels;
  std::int64_t extra_width = 384;  ///< channels of the extra dimensions' encoder
  std::int64_t extra_blocks = 2;

  /// levels, then extra_levels.
  std::vector<std::int64_t> all_levels() const;
  /// The code book's size: the product of all levels.
  std::int64_t codes() const;
  /// Throws InputError naming the field.
  void validate() const;
};

CodecConfig parse_codec_config(const std::string& json_text, const std::string& source);
std::string to_json(const CodecConfig& config);

/// Latent frames for a clip of `frames` frames, the last chunk padded: 1 + ⌈(frames − 1) / time_factor⌉.
std::int64_t latent_frames(const CodecConfig& config, std::int64_t frames);
/// Frames that `latents` latent frames decode to: 1 + (latents − 1) · time_factor.
std::int64_t decoded_frames(const CodecConfig& config, std::int64_t latents);

/// A residual block: x + project(gelu(conv(norm(x)))), the convolution 3×3 or 1×1.
struct CodecBlock {
  Tensor norm, conv, conv_bias, project, project_bias;
};

class LatentCodec {
 public:
  LatentCodec(CodecConfig config, Random& random);

  const CodecConfig& config() const { return config_; }
  const ParameterList& parameters() const { return parameters_; }

  /// Chunks [N, time_factor, H, W, 3] in [−1, 1] → latents before rounding [N, rows, columns, levels], the extra
  /// dimensions last. `extra_only`: the gradient reaches the extra dimensions alone.
  Tensor encode(const Tensor& chunks, bool extra_only = false) const;
  /// FSQ: bounds each dimension and rounds it; the gradient passes straight through the rounding.
  Tensor quantize(const Tensor& latents) const;
  /// Quantised latents [N, rows, columns, levels] and those of `history` earlier latent frames (oldest first, along the
  /// channels: [N, rows, columns, history·levels], zeros before the clip's begin) → chunks [N, time_factor, H, W, 3].
  Tensor decode(const Tensor& quantized, const Tensor& history) const;

  /// Quantised latents ↔ code ids in [0, codes()); ids in row-major cell order, [N · rows · columns].
  std::vector<std::int32_t> codes_of(const Tensor& quantized) const;
  Tensor latents_of(std::span<const std::int32_t> codes, std::int64_t count, std::int64_t rows,
                    std::int64_t columns) const;

  /// Where it works: chunks, latents and what comes of them are there.
  Device device() const { return patch_.device(); }

  /// Activations and products: bf16 with f32 sums where the machine is fast at it, or f32. Default f32.
  DType compute = DType::f32;

 private:
  Tensor trunk(Tensor x, const std::vector<CodecBlock>& blocks) const;
  Tensor first_layer(const Tensor& quantized, const Tensor& history) const;

  CodecConfig config_;
  ParameterList parameters_;
  Tensor patch_, patch_bias_, to_latent_, to_latent_bias_;
  Tensor from_latent_, from_latent_bias_, refine_, refine_bias_, to_pixels_, to_pixels_bias_;
  Tensor detail_, detail_bias_, detail_to_pixels_, detail_to_pixels_bias_;
  Tensor encoder_norm_, decoder_norm_, fine_norm_;
  Tensor extra_patch_, extra_patch_bias_, extra_norm_, to_extra_, to_extra_bias_, from_extra_;
  std::vector<CodecBlock> encoder_, decoder_, fine_, extra_;
};

/// Frames in, codes out, a latent frame at a time. Keeps at most one chunk of frames.
class StreamingEncoder {
 public:
  explicit StreamingEncoder(const LatentCodec& codec) : codec_(codec) {}
  /// Adds a frame; returns the codes of a latent frame when one is complete, else nothing. Sizes must divide by
  /// space_factor.
  std::vector<std::int32_t> push(const Frame& frame);
  /// Pads the last chunk with its last frame and returns its codes, if one is open.
  std::vector<std::int32_t> finish();

 private:
  std::vector<std::int32_t> flush();

  const LatentCodec& codec_;
  std::vector<Frame> pending_;
  std::int64_t latents_ = 0;
};

/// Codes in, frames out. Keeps `history` latent frames.
class StreamingDecoder {
 public:
  StreamingDecoder(const LatentCodec& codec, std::int64_t rows, std::int64_t columns);
  /// Codes of one latent frame (rows · columns) → its frames: one for the first latent frame, time_factor for others.
  std::vector<Frame> push(std::span<const std::int32_t> codes);
  /// One latent frame of each of several clips of one codec and size, in one pass: sooner than one by one on a device.
  static std::vector<std::vector<Frame>> push_each(std::span<StreamingDecoder* const> decoders,
                                                   std::span<const std::vector<std::int32_t>> codes);

 private:
  void copy_history(float* to) const;
  const LatentCodec& codec_;
  std::int64_t rows_, columns_, latents_ = 0;
  std::deque<Tensor> history_;
};

/// All codes of a clip: [latent frames · rows · columns]. Batches the chunks; frames share one size.
std::vector<std::int32_t> encode_clip(const LatentCodec& codec, std::span<const Frame> frames);

/// config.json and codec.safetensors in a folder.
void save_codec(const LatentCodec& codec, const std::string& folder);
LatentCodec load_codec(const std::string& folder);

/// [count, H, W, 3] f32 in [−1, 1] ↔ frames.
Tensor frames_to_tensor(std::span<const Frame> frames);
Frame tensor_to_frame(const float* pixels, int width, int height);

}  // namespace orrery
