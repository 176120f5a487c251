// Physics-IQ's masks and metrics against OpenCV's Python; both scores on known numbers.
#include "physics_eval/metrics/physics_iq.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr int kWidth = 72, kHeight = 56, kFrames = 20;

// The clip of tests/fixtures/make_physics_iq.py.
std::vector<Frame> clip(int seed) {
  std::vector<Frame> out;
  for (int t = 0; t < kFrames; ++t) {
    Frame frame(kWidth, kHeight);
    const int left = 4 + (2 + seed) * t % 50, top = 8 + (t * t * (1 + seed)) / 16 % 30;
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const bool inside = x >= left && x < left + 14 && y >= top && y < top + 12;
        for (int c = 0; c < 3; ++c)
          frame.at(x, y)[c] = static_cast<std::uint8_t>(inside ? (200 + 20 * c - 60 * seed) % 256
                                                               : (x * 2 + y * 3 + c * 30) % 120 + 40);
      }
    }
    out.push_back(std::move(frame));
  }
  return out;
}

}  // namespace

TEST_CASE("Physics-IQ's masks and metrics are the published steps'", "[physics-iq]") {
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/physics_iq.txt");
  std::string line, kind;
  int cases = 0;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    in >> kind;
    if (kind == "masks") {
      int seed = 0;
      in >> seed;
      for (const MotionMask& mask : motion_masks(clip(seed))) {
        int wanted = -1, count = 0;
        in >> wanted;
        for (const std::uint8_t m : mask.pixels) count += m > 0;
        CHECK(count == wanted);
      }
      ++cases;
    } else if (kind == "metrics") {
      int a = 0, b = 0;
      double spatial = 0, temporal = 0, weighted = 0, mse = 0;
      REQUIRE((in >> a >> b >> spatial >> temporal >> weighted >> mse));
      const PhysicsIqMetrics m = compare_physics_iq(prepare_physics_iq(clip(a), kWidth / 4, kHeight / 4, kFrames),
                                                    prepare_physics_iq(clip(b), kWidth / 4, kHeight / 4, kFrames));
      CHECK(m.spatial_iou == Approx(spatial).epsilon(1e-9));
      CHECK(m.spatiotemporal_iou == Approx(temporal).epsilon(1e-9));
      CHECK(m.weighted_spatial_iou == Approx(weighted).epsilon(1e-9));
      CHECK(m.mse == Approx(mse).epsilon(1e-6).margin(1e-12));
      ++cases;
    }
  }
  CHECK(cases == 6);
}

TEST_CASE("both Physics-IQ scores", "[physics-iq]") {
  const PhysicsIqMetrics takes{0.8, 0.5, 0.6, 0.002};
  // As good as another take: 100 in both.
  CHECK(physics_iq_score(std::vector<PhysicsIqView>{{takes, takes}}) == Approx(100));
  CHECK(physics_iq_verified_score(std::vector<PhysicsIqView>{{takes, takes}}) == Approx(100).epsilon(1e-5));
  const PhysicsIqMetrics half{0.4, 0.25, 0.3, 0.004};
  CHECK(physics_iq_score(std::vector<PhysicsIqView>{{half, takes}}) == Approx(100 * (0.5 - 0.002)));
  CHECK(physics_iq_verified_score(std::vector<PhysicsIqView>{{half, takes}}) == Approx(50).epsilon(1e-4));
  // Verified clips each view's terms; the original's means are over all views first.
  const std::vector<PhysicsIqView> two{{half, takes}, {takes, takes}};
  CHECK(physics_iq_verified_score(two) == Approx(75).epsilon(1e-4));
  CHECK_THROWS_AS(physics_iq_score(std::vector<PhysicsIqView>{}), InputError);
}

TEST_CASE("clips that do not fit are refused", "[physics-iq]") {
  CHECK_THROWS_AS(prepare_physics_iq(clip(0), 18, 14, kFrames + 1), InputError);
  CHECK_THROWS_AS(compare_physics_iq(prepare_physics_iq(clip(0), 18, 14, 5), prepare_physics_iq(clip(0), 18, 14, 6)),
                  InputError);
  std::vector<Frame> odd = clip(0);
  odd[3] = Frame(10, 10);
  CHECK_THROWS_AS(motion_masks(odd), InputError);
}
