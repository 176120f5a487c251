// Folders of videos as sets: what is broken is listed with its reason and the rest goes on.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "apps/pipeline/feature_set.h"
#include "apps/pipeline/physics_iq_folders.h"
#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/writer.h"

using namespace orrery;

namespace {

namespace fs = std::filesystem;

// A bright square moving over a striped ground.
Clip moving(int frames, int speed, double fps = 8) {
  Clip clip;
  clip.fps = fps;
  for (int t = 0; t < frames; ++t) {
    Frame frame(64, 48);
    for (int y = 0; y < 48; ++y) {
      for (int x = 0; x < 64; ++x) {
        const int left = (4 + t * speed) % 48;
        const bool inside = x >= left && x < left + 16 && y >= 16 && y < 32;
        for (int c = 0; c < 3; ++c)
          frame.at(x, y)[c] = static_cast<std::uint8_t>(inside ? 220 : 60 + x % 4 * 8 + 10 * c);
      }
    }
    clip.frames.push_back(std::move(frame));
  }
  return clip;
}

void write(const fs::path& path, const Clip& clip) {
  WriteOptions options;
  options.fps = clip.fps;
  write_video(path.string(), clip, options);
}

// The reason a file was left out for, empty for none.
std::string reason_for(const std::vector<LeftOut>& left_out, const std::string& part) {
  for (const LeftOut& one : left_out) {
    if (one.file.find(part) != std::string::npos) return one.reason;
  }
  return "";
}

}  // namespace

TEST_CASE("broken and short files in a folder of good ones are left out", "[set_scores]") {
  const test::TemporaryFolder folder;
  write(folder / "a.mkv", moving(20, 1));
  write(folder / "b.mkv", moving(20, 2));
  write(folder / "short.mkv", moving(12, 1));
  write_file(folder / "broken.mp4", "this is no video");
  const std::string whole = read_file(folder / "a.mkv");
  write_file(folder / "cut.mkv", whole.substr(0, whole.size() / 2));
  write_file(folder / "notes.txt", "not looked at");
  std::vector<LeftOut> left_out;
  const FeatureSet set = features_of({folder.path().string()}, {}, left_out);
  CHECK(set.clips == 2);
  CHECK(set.features.size() == 2);
  CHECK(set.metric == "fvd-orrery");
  REQUIRE(left_out.size() == 3);
  CHECK_THAT(reason_for(left_out, "short.mkv"), ContainsSubstring("12 frames, expected at least 16"));
  CHECK_THAT(reason_for(left_out, "broken.mp4"), ContainsSubstring("broken.mp4"));
  CHECK_FALSE(reason_for(left_out, "cut.mkv").empty());
}

TEST_CASE("empty folders and folders of nothing usable are said", "[set_scores]") {
  const test::TemporaryFolder folder;
  std::vector<LeftOut> left_out;
  CHECK_THROWS_WITH(features_of({folder.path().string()}, {}, left_out), ContainsSubstring("no videos"));
  write_file(folder / "broken.mp4", "this is no video");
  CHECK_THROWS_WITH(features_of({folder.path().string()}, {}, left_out), ContainsSubstring("broken.mp4"));
  CHECK_THROWS_AS(features_of({"nowhere"}, {}, left_out), InputError);
  CHECK_THROWS_WITH(features_of({"nowhere"}, {"colours", "orrery", 0}, left_out), ContainsSubstring("colours"));
}

TEST_CASE("too few frames for the protocol, for FVMD", "[set_scores]") {
  const test::TemporaryFolder folder;
  write(folder / "a.mkv", moving(8, 1));
  const std::vector<std::string> inputs{(folder / "a.mkv").string()};
  std::vector<LeftOut> left_out;
  CHECK_THROWS_WITH(features_of(inputs, {"handmade", "stylegan-v", 0}, left_out), ContainsSubstring("at least 9"));
  CHECK_THROWS_WITH(features_of(inputs, {"handmade", "common-metrics", 0}, left_out), ContainsSubstring("at least 10"));
  CHECK_THROWS_WITH(features_of(inputs, {"fvmd:fixed", "orrery", 0}, left_out), ContainsSubstring("at least 16"));
  CHECK_THROWS_WITH(features_of(inputs, {"handmade", "orrery", 9}, left_out), ContainsSubstring("at least 9"));
}

TEST_CASE("kept features come back with all that the figure needs", "[set_scores]") {
  const test::TemporaryFolder folder;
  FeatureSet set;
  set.features = {{1, 2.5}, {3, -1}, {0.5, 4}}, set.clips = 2, set.made_with = "a way", set.metric = "fvmd";
  set.title = "FVMD (a way)", set.covariance_offset = 1e-5;
  save_features((folder / "set.safetensors").string(), set);
  const FeatureSet back = read_features((folder / "set.safetensors").string());
  CHECK(back.features == set.features);
  CHECK(back.clips == 2);
  CHECK(back.made_with == "a way");
  CHECK(back.metric == "fvmd");
  CHECK(back.title == "FVMD (a way)");
  CHECK(back.covariance_offset == 1e-5);
  FeatureSet other = set;
  other.made_with = "another";
  CHECK_THROWS_WITH(compare_sets(set, other, 0, true, 1), ContainsSubstring("cannot be compared"));
  other = set, other.features = {{1}, {2}};
  CHECK_THROWS_WITH(compare_sets(set, other, 0, true, 1), ContainsSubstring("2 and 1 values"));
  // One vector a set has a distance and no interval.
  FeatureSet one = set;
  one.features.resize(1);
  const SetFigures figures = compare_sets(one, set, 100, true, 1);
  CHECK(std::isfinite(figures.value));
  CHECK_FALSE(figures.kernel);
  CHECK_FALSE(figures.interval);
}

TEST_CASE("features that are not finite are refused", "[set_scores]") {
  const test::TemporaryFolder folder;
  const std::vector<float> values{1, 2, std::numeric_limits<float>::quiet_NaN(), 4};
  SafetensorsEntry entry;
  entry.name = "features", entry.shape = {2, 2}, entry.data = std::as_bytes(std::span<const float>(values));
  write_safetensors(folder / "nan.safetensors", std::span(&entry, 1));
  CHECK_THROWS_WITH(read_features((folder / "nan.safetensors").string()), ContainsSubstring("clip 1 is not finite"));
  entry.shape = {4};
  write_safetensors(folder / "flat.safetensors", std::span(&entry, 1));
  CHECK_THROWS_WITH(read_features((folder / "flat.safetensors").string()), ContainsSubstring("[clips, values]"));
}

TEST_CASE("Physics-IQ's folders are paired by name; what fits nowhere is listed", "[set_scores]") {
  const test::TemporaryFolder real, generated;
  const auto put = [](const test::TemporaryFolder& folder, const std::string& name) { write_file(folder / name, "x"); };
  for (const char* take : {"1", "2"}) {
    put(real, std::string("0001_testing-videos_30FPS_perspective-left_take-") + take + "_duck.mp4");
    put(real, std::string("0001_testing-videos_8FPS_perspective-left_take-") + take + "_duck.mp4");
    put(real, std::string("0003_testing-videos_30FPS_perspective-left_take-") + take + "_ramp.mp4");
  }
  put(real, "0004_testing-videos_30FPS_perspective-left_take-1_half.mp4");
  put(real, "duck.mp4");
  put(generated, "0001_perspective-left_duck.mp4");
  put(generated, "0007_perspective-left_duck.mp4");
  put(generated, "0004_perspective-left_half.mp4");
  put(generated, "0009_perspective-left_cat.mp4");
  std::vector<LeftOut> left_out;
  const std::vector<PhysicsIqPair> pairs = pair_physics_iq(real.path().string(), generated.path().string(), left_out);
  REQUIRE(pairs.size() == 1);
  CHECK(pairs[0].view == "duck perspective-left");
  CHECK(pairs[0].takes.size() == 2);
  CHECK_THAT(pairs[0].takes.at(30)[1], ContainsSubstring("take-2"));
  CHECK_THAT(reason_for(left_out, "/duck.mp4"), ContainsSubstring("the name is not"));
  CHECK_THAT(reason_for(left_out, "0007"), ContainsSubstring("same scenario"));
  CHECK_THAT(reason_for(left_out, "cat"), ContainsSubstring("no real video"));
  CHECK_THAT(reason_for(left_out, "half perspective-left"), ContainsSubstring("take is missing"));
  CHECK_THAT(reason_for(left_out, "ramp perspective-left"), ContainsSubstring("no generated video"));
  CHECK(left_out.size() == 5);
}

TEST_CASE("Physics-IQ is scored at the generated video's rate", "[set_scores]") {
  const test::TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  write(path("one.mkv"), moving(80, 1, 16)), write(path("two.mkv"), moving(80, 2, 16));
  const std::vector<Frame> slow_one = blend_to_rate(moving(80, 1, 16).frames, 16, 8),
                           slow_two = blend_to_rate(moving(80, 2, 16).frames, 16, 8);
  REQUIRE(slow_one.size() == 40);
  write(path("slow.mkv"), {8, slow_one});
  PhysicsIqPair pair{"view", path("slow.mkv"), {{16, {path("one.mkv"), path("two.mkv")}}}};
  // The takes are blended to 8 frames a second: the generated video is take 1 itself.
  const PhysicsIqView blended = score_physics_iq_pair(pair);
  CHECK(blended.model.mse == 0);
  CHECK(blended.model.spatiotemporal_iou == 1);
  const PhysicsIqMetrics variance =
      compare_physics_iq(prepare_physics_iq(slow_one, 16, 12, 40), prepare_physics_iq(slow_two, 16, 12, 40));
  CHECK(blended.variance.mse == variance.mse);
  CHECK(blended.variance.spatial_iou == variance.spatial_iou);
  // Takes of its own rate come first.
  write(path("own.mkv"), moving(40, 3));
  pair.takes[8] = {path("own.mkv"), path("own.mkv")};
  CHECK(score_physics_iq_pair(pair).model.mse > 0);
  write(path("short.mkv"), moving(39, 1));
  pair.generated = path("short.mkv");
  CHECK_THROWS_WITH(score_physics_iq_pair(pair), ContainsSubstring("39 frames, expected 40"));
  pair.generated = path("nothing.mkv");
  CHECK_THROWS_AS(score_physics_iq_pair(pair), InputError);
}

TEST_CASE("blending between frames is the published one", "[set_scores]") {
  std::vector<Frame> frames;
  for (int t = 0; t < 6; ++t) frames.emplace_back(1, 1, static_cast<std::uint8_t>(40 * t));
  // Six frames of one second → four: at 0, 5/3, 10/3 and 5, cut to whole bytes.
  const std::vector<Frame> out = blend_to_rate(frames, 6, 4);
  REQUIRE(out.size() == 4);
  CHECK(out[0].bytes()[0] == 0);
  CHECK(out[1].bytes()[0] == 66);
  CHECK(out[2].bytes()[0] == 133);
  CHECK(out[3].bytes()[0] == 200);
  CHECK_THROWS_AS(blend_to_rate(frames, 0, 4), InputError);
}
