// Physics-IQ's masks and metrics against OpenCV's Python; both scores on known numbers.
#include "physics_eval/metrics/physics_iq.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"
#include "core/base/random.h"
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

// A ground that stays, noise in one part of it, jumps of 14 to 16 grey levels (the mean then lies on a half) and
// squares that move.
std::vector<Frame> busy_clip(int width, int height, int frames) {
  Random random(5, static_cast<std::uint64_t>(width * 1000 + height));
  Frame ground(width, height);
  for (std::uint8_t& byte : ground.bytes()) byte = static_cast<std::uint8_t>(random.below(200));
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    Frame frame = ground;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const bool inside = (x + 3 * t) % 40 < 13 && (y + 2 * t) % 30 < 11, step = t > 4 && x % 50 > 30 && y % 9 > 2;
        for (int c = 0; c < 3; ++c) {
          std::uint8_t& byte = frame.at(x, y)[c];
          if (inside) byte = static_cast<std::uint8_t>(220 + c);
          if (step) byte = static_cast<std::uint8_t>(byte + 14 + x % 3);
          if (x < width / 3 && y > height / 2) byte = static_cast<std::uint8_t>(byte + random.below(30));
        }
      }
    }
    out.push_back(std::move(frame));
  }
  return out;
}

// The published steps, each by OpenCV.
struct PublishedSteps {
  cv::Mat mean;
  cv::Mat next(const cv::Mat& rgb) {
    cv::Mat grey, rounded, mask;
    cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
    cv::GaussianBlur(grey, grey, {5, 5}, 0);
    if (mean.empty()) {
      grey.convertTo(mean, CV_64F);
      return cv::Mat::zeros(grey.size(), CV_8U);
    }
    const cv::Mat ones = cv::Mat::ones(5, 5, CV_8U);
    cv::accumulateWeighted(grey, mean, 0.3);
    cv::convertScaleAbs(mean, rounded);
    cv::absdiff(grey, rounded, rounded);
    cv::threshold(rounded, mask, 10, 255, cv::THRESH_BINARY);
    cv::morphologyEx(mask, mask, cv::MORPH_OPEN, ones);
    cv::morphologyEx(mask, mask, cv::MORPH_CLOSE, ones);
    return mask;
  }
};

cv::Mat view_of(Frame& frame) { return {frame.height(), frame.width(), CV_8UC3, frame.bytes().data()}; }
std::vector<std::uint8_t> bytes_of(const cv::Mat& mat) { return {mat.data, mat.data + mat.total() * mat.elemSize()}; }

}  // namespace

TEST_CASE("masks and quarters are those of OpenCV's steps at every size", "[physics-iq]") {
  const std::vector<std::pair<int, int>> sizes{{1, 1},   {2, 3},   {5, 4},    {16, 12},  {63, 17},
                                               {64, 64}, {66, 40}, {130, 71}, {192, 68}, {257, 33}};
  int moving = 0;
  for (const auto& [width, height] : sizes) {
    std::vector<Frame> frames = busy_clip(width, height, 24);
    const std::vector<MotionMask> masks = motion_masks(frames);
    // To a quarter, as far as there is one, and to another size.
    const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    const int quarter_width = std::max(1, width / 4), quarter_height = std::max(1, height / 4);
    const PhysicsIqClip quarter = prepare_physics_iq(frames, quarter_width, quarter_height, 24),
                        half = prepare_physics_iq(frames, half_width, half_height, 24);
    PublishedSteps steps;
    for (std::size_t t = 0; t < frames.size(); ++t) {
      INFO(width << "x" << height << ", frame " << t);
      const cv::Mat mask = steps.next(view_of(frames[t]));
      moving += cv::countNonZero(mask);
      CHECK(masks[t].pixels == bytes_of(mask));
      for (const auto* clip : {&quarter, &half}) {
        cv::Mat small, pixels;
        cv::resize(mask, small, {clip->width, clip->height});
        cv::threshold(small, small, 127, 1, cv::THRESH_BINARY);
        cv::resize(view_of(frames[t]), pixels, {clip->width, clip->height});
        CHECK(clip->masks[t] == bytes_of(small));
        CHECK(clip->pixels[t] == bytes_of(pixels));
      }
    }
  }
  CHECK(moving > 10000);
}

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
