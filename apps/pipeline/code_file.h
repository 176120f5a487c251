// A video as a file of latent codes, and back: what `orrery encode` and `orrery decode` do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "video/latent/codec.h"

namespace orrery::pipeline {

struct CodeReport {
  std::int64_t frames = 0, latents = 0, rows = 0, columns = 0;
  int width = 0, height = 0;
  double fps = 0;
  double psnr = 0, ssim = 0;  ///< means over the frames, of the round trip; encode_video() only
  double bits_per_pixel = 0;  ///< log₂ of the codebook a code, over the pixels of all frames
};

/// Frames streamed, memory flat but for the codes. `width`, `height` 0: the video's own, which must divide by the
/// codec's space_factor. Frames at `fps` a second; 0: as stored. Writes "codes" [latents, rows, columns] i32 with the
/// frames, rate and codec's settings as metadata. Throws InputError.
CodeReport encode_video(const LatentCodec& codec, const std::string& video, const std::string& path, int width,
                        int height, double fps, const std::function<void(std::int64_t)>& progress = {});

/// Writes the video of a code file, at `width` × `height` pixels (0: its own). Throws InputError for codes of another
/// codec.
CodeReport decode_video(const LatentCodec& codec, const std::string& path, const std::string& video, int width,
                        int height, const std::function<void(std::int64_t)>& progress = {});

}  // namespace orrery::pipeline
