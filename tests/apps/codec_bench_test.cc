// The codec's figures on clips whose answers are known.
#include "apps/pipeline/codec_bench.h"

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

Frame grey(std::uint8_t level) {
  Frame frame(16, 16);
  for (std::uint8_t& byte : frame.bytes()) byte = level;
  return frame;
}

Track body(std::vector<std::pair<double, double>> places) {
  Track track;
  for (const auto& [x, y] : places) {
    Observation seen;
    seen.visible = true, seen.x = x, seen.y = y;
    track.frames.push_back(seen);
  }
  return track;
}

}  // namespace

TEST_CASE("a seam is an error that jumps where chunks begin", "[codec_bench]") {
  std::vector<Frame> original, even, jumping;
  for (int f = 0; f < 13; ++f) {
    original.push_back(grey(100));
    even.push_back(grey(static_cast<std::uint8_t>(100 + 2 * f)));  // the same change everywhere
    // Chunks are frames 1 to 4, 5 to 8, 9 to 12: between them the error jumps by 8, in them by 1.
    const int chunk = (f + 3) / 4, inside = f == 0 ? 0 : (f - 1) % 4;
    jumping.push_back(grey(static_cast<std::uint8_t>(100 + 11 * chunk + inside)));
  }
  CHECK(seam_ratio(original, even, 4) == Approx(1).epsilon(1e-6));
  CHECK(seam_ratio(original, jumping, 4) == Approx((11 + 8 + 8) / 3.0).epsilon(1e-6));
  CHECK(seam_ratio(original, original, 4) == Approx(1));
  CHECK_THROWS_AS(seam_ratio(std::span(original).first(3), even, 4), InputError);
  CHECK_THROWS_AS(seam_ratio(std::span(original).first(2), std::span(even).first(2), 4), InputError);
}

TEST_CASE("centroid errors are those of the nearest body, and bodies without one are lost", "[codec_bench]") {
  Tracks original, decoded;
  original.tracks = {body({{10, 10}, {20, 10}, {30, 10}})};
  original.tracks[0].frames[2].cut = true;  // not compared
  decoded.tracks = {body({{10.3, 10.4}, {26, 10}, {30, 10}}), body({{12, 10}, {20, 15}, {30, 10}})};
  const CentroidErrors errors = centroid_errors(original, decoded);
  CHECK(errors.squares == Approx(0.25));
  CHECK(errors.seen == 1);
  CHECK(errors.lost == 1);
}

TEST_CASE("the codec's rows add up", "[codec_bench]") {
  CodecConfig config;
  config.width = config.fine_width = 8;
  config.encoder_blocks = config.decoder_blocks = config.fine_blocks = 1;
  config.levels = {4, 4};
  Random random(1, 1);
  const LatentCodec codec(config, random);
  CodecBenchOptions options;
  options.count = 6, options.seconds = 0.5, options.size = 32, options.scenes = {"bounce"};
  const auto rows = bench_codec(codec, options);
  REQUIRE(rows.size() >= 2);
  REQUIRE(rows.back().background == "all");
  CHECK(rows.back().clips == 6);
  std::int64_t clips = 0, positions = 0;
  double psnr = 0;
  for (const CodecRow& row : rows) {
    if (row.background == "all" || row.background == "smooth") continue;
    clips += row.clips, positions += row.seen + row.lost;
    psnr += row.psnr * static_cast<double>(row.clips);
  }
  CHECK(clips == 6);
  CHECK(positions == rows.back().seen + rows.back().lost);
  CHECK(psnr / 6 == Approx(rows.back().psnr));
  CHECK(rows.back().psnr < 25);  // random weights
}
