// FVMD's histograms against the published code's (tests/fixtures/make_fvmd.py), and points that follow what moves.
#include "physics_eval/fvd/motion_histogram.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/fvd/frechet.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// The formula of make_fvmd.py: multiples of 1/64, exact in 32 bits.
PointTracks tracks(int clip) {
  PointTracks out;
  for (int t = 0; t < kFvmdFrames; ++t) {
    out.emplace_back();
    for (int i = 0; i < kFvmdGrid * kFvmdGrid; ++i) {
      const int x = i % kFvmdGrid, y = i / kFvmdGrid;
      const int u = ((x * 7 + y * 3 + clip * 11) % 29 - 14) * t * (t + clip % 3) / 2,
                v = ((x * 5 + y * 13 + clip * 17) % 31 - 15) * t * t / (1 + clip % 4);
      out.back().push_back(
          {static_cast<float>(8 * 64 + x * 12 * 64 + u) / 64, static_cast<float>(8 * 64 + y * 768 + v) / 64});
    }
  }
  return out;
}

// A textured square moving over a textured ground.
std::vector<Frame> moving(int frames, int step) {
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    Frame frame(256, 256);
    for (int y = 0; y < 256; ++y) {
      for (int x = 0; x < 256; ++x) {
        const int left = 60 + step * t;
        const bool inside = x >= left && x < left + 90 && y >= 80 && y < 170;
        const int u = inside ? x - left : x,
                  value = inside ? 140 + 50 * ((u / 9 + y / 7) % 3) - 40 : 60 + 20 * ((x / 11 + y / 13) % 2);
        for (int c = 0; c < 3; ++c) frame.at(x, y)[c] = static_cast<std::uint8_t>(value);
      }
    }
    out.push_back(std::move(frame));
  }
  return out;
}

}  // namespace

TEST_CASE("FVMD's histograms and distances are the published code's", "[fvd][fvmd]") {
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/fvmd.txt");
  std::string line, kind, form_name;
  int cases = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    in >> kind >> form_name;
    const FvmdForm form = form_name == "compat" ? FvmdForm::compat : FvmdForm::fixed;
    if (kind == "histogram") {
      int clip = 0;
      in >> clip;
      CAPTURE(form_name, clip);
      const std::vector<double> mine = motion_histogram(tracks(clip), form);
      REQUIRE(mine.size() == 1024);
      double theirs = 0;
      int different = 0;
      for (const double m : mine) {
        REQUIRE((in >> theirs));
        different += std::abs(m - theirs) > 1e-9;
      }
      CHECK(different == 0);
    } else {
      std::vector<std::vector<double>> a, b;
      for (int clip = 0; clip < 12; ++clip) (clip < 6 ? a : b).push_back(motion_histogram(tracks(clip), form));
      double theirs = 0;
      REQUIRE((in >> theirs));
      const double offset = make_motion_histograms(form)->covariance_offset();
      CHECK(set_distance(a, b, {SetDistance::frechet, true, offset}) == Approx(theirs).epsilon(1e-6));
    }
    ++cases;
  }
  CHECK(cases == 6);
}

TEST_CASE("what repeats velocities is mended in the other form", "[fvd][fvmd]") {
  // All points at one speed: no acceleration but for the first step.
  PointTracks steady(kFvmdFrames);
  for (int t = 0; t < kFvmdFrames; ++t)
    steady[static_cast<std::size_t>(t)].assign(400, {3.0f * static_cast<float>(t), 0});
  const std::vector<double> fixed = motion_histogram(steady, FvmdForm::fixed),
                            compat = motion_histogram(steady, FvmdForm::compat);
  double accelerations = 0, repeated = 0;
  for (std::size_t i = 512; i < 1024; ++i) accelerations += fixed[i], repeated += compat[i];
  CHECK(accelerations == 0);
  CHECK(repeated > 0);
  CHECK(std::equal(fixed.begin(), fixed.begin() + 512, compat.begin()));
}

TEST_CASE("points of the grid follow what moves and stay where nothing does", "[fvd][fvmd]") {
  const PointTracks followed = follow_grid(moving(6, 4));
  int moved = 0, inside = 0, outside = 0, strayed = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    const auto &from = followed.front()[i], &to = followed.back()[i];
    const bool square = from[0] > 75 && from[0] < 135 && from[1] > 95 && from[1] < 155;
    inside += square;
    moved += square && std::abs(to[0] - from[0] - 20) < 1 && std::abs(to[1] - from[1]) < 1;
    outside += from[0] < 30;
    strayed += from[0] < 30 && std::hypot(to[0] - from[0], to[1] - from[1]) > 0.5f;
  }
  CHECK(inside >= 20);
  CHECK(moved == inside);
  CHECK(outside == 40);
  CHECK(strayed <= 2);  // a coarse level of the pyramid reaches the square from there
}

TEST_CASE("a vector for every 16 frames in a row", "[fvd][fvmd]") {
  const auto extractor = make_features("fvmd:fixed");
  CHECK(extractor->extract(moving(18, 2)).size() == 3);
  CHECK(extractor->metric() == "fvmd");
  CHECK_THROWS_AS(extractor->extract(moving(15, 2)), InputError);
  CHECK_THROWS_AS(motion_histogram(PointTracks(16, std::vector<std::array<float, 2>>(7)), FvmdForm::fixed), InputError);
}
