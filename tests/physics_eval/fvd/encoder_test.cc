// The shipped video encoder: its distance is small between sets of lawful clips and grows with what is done to one.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/io/files.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"
#include "physics_eval/encoder/video_encoder.h"
#include "physics_eval/fvd/features.h"
#include "physics_eval/fvd/frechet.h"
#include "physics_eval/worlds/sample.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/frames/resize.h"

using namespace orrery;

namespace {

using Frames = std::vector<Frame>;

constexpr int kFrames = 32, kClips = 40;

const std::string& shipped() {
  static const std::string folder = std::string(ORRERY_SOURCE_DIR) + "/models/features-64";
  return folder;
}

Frames clip_of(std::uint64_t seed, std::uint64_t index, int frames = kFrames) {
  worlds::SampleOptions options;
  options.frames = frames;
  options.scenes = {"bounce", "throw", "roll", "collide", "pendulum", "spring"};
  return worlds::sample_clip(worlds::kHeldOutSeed + seed, index, options).frames;
}

std::vector<std::vector<double>> vectors_of(const FeatureExtractor& features, std::uint64_t seed,
                                            const std::function<void(Frames&, Random&)>& change) {
  std::vector<std::vector<double>> out;
  for (std::uint64_t i = 0; i < kClips; ++i) {
    Frames frames = clip_of(seed, i);
    Random random = Random(seed, 3).fork(i);
    change(frames, random);
    out.push_back(features.extract(frames)[0]);
  }
  return out;
}

void add_noise(Frames& frames, double sigma, Random& random) {
  for (Frame& frame : frames)
    for (std::uint8_t& byte : frame.bytes())
      byte = static_cast<std::uint8_t>(std::clamp(std::lround(byte + sigma * random.normal()), 0L, 255L));
}

// So many pairs of frames far from one another change places, every other frame.
void disorder(Frames& frames, std::size_t count) {
  const std::size_t half = frames.size() / 2;
  for (std::size_t i = 0; i < count; ++i) std::swap(frames[2 * i], frames[2 * i + half]);
}

}  // namespace

TEST_CASE("the shipped encoder's distance grows with what is done to a set", "[encoder]") {
  const auto features = make_features("builtin:" + shipped());
  CHECK(features->title() == "FVD (orrery features)");
  CHECK(features->metric() == "fvd-orrery");
  const auto real = vectors_of(*features, 1, [](Frames&, Random&) {});
  const auto distance = [&](const std::function<void(Frames&, Random&)>& change) {
    return set_distance(real, vectors_of(*features, 2, change));
  };
  const double chance = distance([](Frames&, Random&) {});
  const auto grows = [&](double weak, double strong) {
    INFO(chance << " by chance, then " << weak << " and " << strong);
    CHECK(weak > chance);
    CHECK(strong > 1.2 * weak);
  };
  const auto noise = [&](double sigma) {
    return distance([&](Frames& frames, Random& random) { add_noise(frames, sigma, random); });
  };
  const auto blurred = [&](int side) {
    return distance([&](Frames& frames, Random&) {
      for (Frame& frame : frames) frame = resize(resize(frame, side, side, Filter::area), 64, 64, Filter::bilinear);
    });
  };
  const auto disordered = [&](std::size_t pairs) {
    return distance([&](Frames& frames, Random&) { disorder(frames, pairs); });
  };
  const auto still = [&](double share) {
    return distance([&](Frames& frames, Random& random) {
      if (random.chance(share)) std::fill(frames.begin() + 1, frames.end(), frames[0]);
    });
  };
  grows(noise(48), noise(96));
  grows(blurred(24), blurred(16));
  grows(disordered(2), disordered(8));
  grows(still(0.3), still(1));
}

TEST_CASE("a clip's vector depends on neither threads nor neighbours, and on all of its frames", "[encoder]") {
  const VideoEncoder encoder = load_encoder(shipped());
  const Frames frames = clip_of(5, 1, 35);
  const std::vector<double> whole = encoder.describe(frames);
  CHECK(whole.size() == static_cast<std::size_t>(encoder.config().dimension));
  const int threads = thread_count();
  set_thread_count(1);
  CHECK(encoder.describe(frames) == whole);
  set_thread_count(threads);
  Frames other = frames;
  other.back() = Frame(64, 64, 200);
  CHECK(encoder.describe(other) != whole);
  // Windows begin every eighth frame: those of 35 frames begin at 0, 8, 16 and 19.
  std::vector<double> mean(whole.size(), 0.0);
  for (const std::size_t start : {0, 8, 16, 19}) {
    const std::vector<double> one = encoder.describe(std::span(frames).subspan(start, 16));
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += one[i] / 4;
  }
  // In 32 bits, and sums are taken in another order where windows are together.
  for (std::size_t i = 0; i < mean.size(); ++i) CHECK(mean[i] == Approx(whole[i]).margin(1e-4));
}

TEST_CASE("standardised answers have mean 0 and variance 1, and are the head's", "[encoder]") {
  Random random(3);
  VideoEncoder encoder({4, 16, {8, 8, 8}, 8, 3}, random);
  // Halves of one colour: what varies from clip to clip is not averaged away.
  const Tensor halves = Tensor::uniform({64, 1, 2, 1, 1, 3}, random, -1, 1);
  const Tensor clips = ops::contiguous(ops::expand(halves, {64, 4, 2, 8, 16, 3})).reshaped({64, 4, 16, 16, 3});
  const Tensor head = Tensor::randn({5, 3}, random), bias = Tensor::randn({5}, random);
  VideoEncoder answering = encoder.answering(head, bias);
  const NoGrad guard;
  const std::vector<float> wanted = ops::linear(encoder.embed(clips), head, bias).to_vector(),
                           found = answering.embed(clips).to_vector();
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(wanted[i]).margin(1e-4));
  answering.standardise(answering.embed(clips));
  const std::vector<float> values = answering.embed(clips).to_vector();
  for (std::size_t i = 0; i < 5; ++i) {
    double mean = 0, square = 0;
    for (std::size_t v = 0; v < 64; ++v) {
      mean += double{values[5 * v + i]} / 64;
      square += std::pow(double{values[5 * v + i]}, 2) / 63;
    }
    CHECK(std::abs(mean) < 1e-3);
    CHECK(square == Approx(1).margin(0.01));
  }
  CHECK_THROWS_AS(answering.standardise(Tensor::zeros({1, 5})), InputError);
}

TEST_CASE("an encoder that is missing, broken or given too little says so", "[encoder]") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH(make_features("builtin:" + folder.path().string()), ContainsSubstring("encoder.json"));
  write_file(folder / "encoder.json", "{\"frames\": 15}");
  CHECK_THROWS_WITH(load_encoder(folder.path().string()), ContainsSubstring("frames is 15"));
  write_file(folder / "encoder.json", read_file(std::filesystem::path(shipped()) / "encoder.json"));
  CHECK_THROWS_AS(load_encoder(folder.path().string()), InputError);
  CHECK_THROWS_WITH(make_features("builtin"), ContainsSubstring("builtin:FOLDER"));
  const auto features = make_features("builtin:" + shipped());
  CHECK_THROWS_WITH(features->extract(clip_of(1, 0, 15)), ContainsSubstring("need at least 16"));
  // Frames of any size are brought to the encoder's.
  CHECK(features->extract(Frames(16, Frame(90, 50, 40)))[0].size() == features->extract(clip_of(1, 0, 16))[0].size());
}
