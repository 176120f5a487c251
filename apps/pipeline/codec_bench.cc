#include "apps/pipeline/codec_bench.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/base/error.h"
#include "physics_eval/metrics/image.h"
#include "physics_eval/worlds/sample.h"

namespace orrery::pipeline {

namespace {

constexpr std::array<const char*, 5> kBackgrounds = {"plain", "vertical", "horizontal", "checker", "two tones"};
constexpr std::size_t kSmooth = 3;  // of them, the first ones

// Mean over pixels and channels of |Δb − Δa| from frame f − 1 to f.
double change_of_error(std::span<const Frame> a, std::span<const Frame> b, std::size_t f) {
  const auto now_a = a[f].bytes(), before_a = a[f - 1].bytes(), now_b = b[f].bytes(), before_b = b[f - 1].bytes();
  double sum = 0;
  for (std::size_t i = 0; i < now_a.size(); ++i)
    sum += std::abs((int{now_b[i]} - int{before_b[i]}) - (int{now_a[i]} - int{before_a[i]}));
  return sum / static_cast<double>(now_a.size());
}

// Sums; divide() makes means of them.
void add(CodecRow& row, const CodecRow& clip) {
  row.clips += clip.clips;
  row.psnr += clip.psnr, row.ssim += clip.ssim, row.seam += clip.seam;
  row.centroid += clip.centroid, row.seen += clip.seen, row.lost += clip.lost;
}

void divide(CodecRow& row) {
  const auto clips = static_cast<double>(row.clips);
  row.psnr /= clips, row.ssim /= clips, row.seam /= clips;
  row.centroid = std::sqrt(row.centroid / std::max<double>(1, static_cast<double>(row.seen)));
}

CodecRow measure(const LatentCodec& codec, std::span<const Frame> frames, double fps) {
  const std::vector<Frame> decoded = round_trip(codec, frames);
  const FrameScore score = score_frames(frames, decoded).mean;
  const CentroidErrors errors = centroid_errors(track(frames, fps), track(decoded, fps));
  CodecRow row;
  row.clips = 1;
  row.psnr = score.psnr, row.ssim = score.ssim;
  row.centroid = errors.squares, row.seen = errors.seen, row.lost = errors.lost;
  row.seam = seam_ratio(frames, decoded, codec.config().time_factor);
  return row;
}

}  // namespace

std::vector<Frame> round_trip(const LatentCodec& codec, std::span<const Frame> frames) {
  StreamingEncoder encoder(codec);
  StreamingDecoder decoder(codec, frames[0].height() / codec.config().space_factor,
                           frames[0].width() / codec.config().space_factor);
  std::vector<Frame> decoded;
  const auto take = [&](const std::vector<std::int32_t>& codes) {
    if (codes.empty()) return;
    for (Frame& frame : decoder.push(codes)) decoded.push_back(std::move(frame));
  };
  for (const Frame& frame : frames) take(encoder.push(frame));
  take(encoder.finish());
  decoded.resize(frames.size());
  return decoded;
}

double seam_ratio(std::span<const Frame> original, std::span<const Frame> decoded, std::int64_t chunk) {
  ORRERY_CHECK(original.size() == decoded.size(), "clips of ", original.size(), " and ", decoded.size(),
               " frames, expected as many");
  double edges = 0, insides = 0;
  std::int64_t edge_count = 0, inside_count = 0;
  for (std::size_t f = 1; f < original.size(); ++f) {
    const bool edge = static_cast<std::int64_t>(f - 1) % chunk == 0;
    (edge ? edges : insides) += change_of_error(original, decoded, f);
    ++(edge ? edge_count : inside_count);
  }
  ORRERY_CHECK(edge_count > 0 && inside_count > 0, "clips of ", original.size(),
               " frames have no edge and inside of chunks of ", chunk);
  constexpr double kNothing = 1e-9;
  return (edges / static_cast<double>(edge_count) + kNothing) /
         (insides / static_cast<double>(inside_count) + kNothing);
}

CentroidErrors centroid_errors(const Tracks& original, const Tracks& decoded) {
  constexpr double kNear = 3;  // pixels
  CentroidErrors errors;
  for (const Track& body : original.tracks)
    for (std::size_t f = 0; f < body.frames.size(); ++f) {
      const Observation& truth = body.frames[f];
      if (!truth.visible || truth.merged || truth.cut) continue;
      double nearest = kNear * kNear;
      for (const Track& other : decoded.tracks) {
        if (f >= other.frames.size() || !other.frames[f].visible) continue;
        const double x = other.frames[f].x - truth.x, y = other.frames[f].y - truth.y;
        nearest = std::min(nearest, x * x + y * y);
      }
      if (nearest < kNear * kNear)
        errors.squares += nearest, ++errors.seen;
      else
        ++errors.lost;
    }
  return errors;
}

std::vector<CodecRow> bench_codec(const LatentCodec& codec, const CodecBenchOptions& options,
                                  const std::function<void(std::int64_t)>& update, const std::atomic<bool>* stop) {
  worlds::SampleOptions sample;
  sample.width = sample.height = options.size, sample.fps = options.fps;
  sample.scenes = options.scenes;
  std::vector<CodecRow> rows(kBackgrounds.size() + 2);
  for (std::size_t i = 0; i < kBackgrounds.size(); ++i) rows[i].background = kBackgrounds[i];
  CodecRow &smooth = rows[kBackgrounds.size()], &all = rows[kBackgrounds.size() + 1];
  smooth.background = "smooth", all.background = "all";
  const auto frames = std::max<std::int64_t>(2, std::llround(options.seconds * options.fps));
  for (std::int64_t i = 0; i < options.count && !(stop != nullptr && *stop); ++i) {
    worlds::World world(
        worlds::sample_spec(options.seed + worlds::kHeldOutSeed, static_cast<std::uint64_t>(i), sample));
    std::vector<Frame> clip;
    for (std::int64_t f = 0; f < frames; ++f) {
      if (f > 0) world.step();
      clip.push_back(world.draw());
    }
    const CodecRow row = measure(codec, clip, options.fps);
    const auto family = static_cast<std::size_t>(world.look().background);
    add(rows[family], row);
    if (family < kSmooth) add(smooth, row);
    add(all, row);
    if (update) update(i + 1);
  }
  std::erase_if(rows, [](const CodecRow& row) { return row.clips == 0; });
  for (CodecRow& row : rows) divide(row);
  return rows;
}

Json codec_bench_json(const std::vector<CodecRow>& rows, const CodecBenchOptions& options) {
  Json list = Json::array();
  for (const CodecRow& row : rows)
    list.push_back(Json::object({{"background", row.background},
                                 {"clips", row.clips},
                                 {"psnr", row.psnr},
                                 {"ssim", row.ssim},
                                 {"centroid_error", row.centroid},
                                 {"positions", row.seen},
                                 {"positions_lost", row.lost},
                                 {"seam_ratio", row.seam}}));
  return Json::object({{"bench", "codec"}, {"seconds", options.seconds}, {"seed", options.seed}, {"rows", list}});
}

std::string codec_bench_table(const std::vector<CodecRow>& rows) {
  std::string text =
      "| background | clips | PSNR, dB | SSIM | centroid error, px | positions lost | seam "
      "|\n|---|---|---|---|---|---|---|\n";
  for (const CodecRow& row : rows) {
    char line[160];
    const double positions = static_cast<double>(std::max<std::int64_t>(1, row.seen + row.lost));
    std::snprintf(line, sizeof line, "| %s | %d | %.1f | %.3f | %.2f | %.1f%% | %.2f |\n", row.background.c_str(),
                  static_cast<int>(row.clips), row.psnr, row.ssim, row.centroid,
                  100 * static_cast<double>(row.lost) / positions, row.seam);
    text += line;
  }
  return text;
}

}  // namespace orrery::pipeline
