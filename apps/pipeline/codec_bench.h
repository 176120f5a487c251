// What the codec loses: held-out clips of the worlds through encoder and decoder, beside themselves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "physics_eval/track/track.h"
#include "video/latent/codec.h"

namespace orrery::pipeline {

struct CodecBenchOptions {
  std::int64_t count = 60;  ///< clips
  std::uint64_t seed = 42;  ///< of the clips, far from any training seed
  double seconds = 4;       ///< a clip
  double fps = 24;
  int size = 64;                    ///< pixels a side
  std::vector<std::string> scenes;  ///< empty: all, by the registry's weights
};

/// Means over the clips with one family of backgrounds.
struct CodecRow {
  std::string background;
  std::int64_t clips = 0;
  double psnr = 0, ssim = 0;
  double centroid = 0;    ///< root mean square distance of tracked centroids from the original's, pixels
  std::int64_t seen = 0;  ///< body positions compared
  std::int64_t lost = 0;  ///< body positions of the original that the decoded clip has no body near (3 pixels)
  double seam = 0;        ///< see seam_ratio()
};

/// A clip through encoder and decoder.
std::vector<Frame> round_trip(const LatentCodec& codec, std::span<const Frame> frames);

/// How much more a clip's error changes from frame to frame where a chunk of `chunk` frames begins than within chunks:
/// the mean over pixels and channels of |Δdecoded − Δoriginal|, edges over insides. 1: no seam. The first frame stands
/// alone. Throws InputError for clips of different lengths or without an inside and an edge.
double seam_ratio(std::span<const Frame> original, std::span<const Frame> decoded, std::int64_t chunk);

/// Distances between bodies tracked in both clips, frame by frame.
struct CentroidErrors {
  double squares = 0;  ///< pixels²
  std::int64_t seen = 0, lost = 0;
};
CentroidErrors centroid_errors(const Tracks& original, const Tracks& decoded);

/// A row a family of backgrounds, then "smooth" (plain and gradients) and "all". Deterministic.
std::vector<CodecRow> bench_codec(const LatentCodec& codec, const CodecBenchOptions& options,
                                  const std::function<void(std::int64_t)>& update = {},
                                  const std::atomic<bool>* stop = nullptr);

Json codec_bench_json(const std::vector<CodecRow>& rows, const CodecBenchOptions& options);
/// A Markdown table.
std::string codec_bench_table(const std::vector<CodecRow>& rows);

}  // namespace orrery::pipeline
