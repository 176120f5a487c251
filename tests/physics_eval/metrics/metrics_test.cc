// PSNR and SSIM against scikit-image's figures, PhyWorld's evaluator against its published code's.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "physics_eval/metrics/image.h"
#include "physics_eval/metrics/phyworld.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// The picture of tests/fixtures/make_image_metrics.py.
Frame picture(int width, int height, std::uint64_t seed) {
  Frame frame(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const auto u = [](int v) { return static_cast<std::uint64_t>(v); };
        std::uint64_t h = (u(x) * 73856093 ^ u(y) * 19349663 ^ u(c) * 83492791 ^ seed * 2654435761) & 0xFFFFFFFF;
        h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF;
        const std::uint64_t noise = (h >> 16) % 41;
        frame.at(x, y)[c] = static_cast<std::uint8_t>((u(x) * (seed + 2) + u(y) * 3 + u(c) * 40) % 200 + noise);
      }
    }
  }
  return frame;
}

struct Drawn {
  double x, y, r;
  double rgb[3];
};

// The ball of tests/fixtures/make_phyworld.py, top row first.
Frame draw(const std::vector<Drawn>& balls) {
  const int size = 64;
  Frame frame(size, size);
  for (int row = 0; row < size; ++row) {
    for (int i = 0; i < size; ++i) {
      double pixel[3] = {255, 255, 255};
      for (const Drawn& b : balls) {
        const double dx = i / 63.0 - b.x, dy = row / 63.0 - b.y;
        const double mask = std::clamp((b.r * b.r - (dx * dx + dy * dy)) / (b.r * b.r * 0.03), 0.0, 1.0);
        for (int c = 0; c < 3; ++c) pixel[c] = (1 - mask) * pixel[c] + mask * b.rgb[c];
      }
      for (int c = 0; c < 3; ++c) frame.at(i, size - 1 - row)[c] = static_cast<std::uint8_t>(pixel[c]);
    }
  }
  return frame;
}

double time_of(int i) { return 0.01 + 0.1 * i; }

void check_one(std::istringstream& in) {
  double x0, y0, vx, vy, g, r, wrong;
  in >> x0 >> y0 >> vx >> vy >> g >> r >> wrong;
  std::vector<std::array<double, 2>> truth;
  std::vector<Frame> frames;
  for (int i = 0; i < 32; ++i) {
    const double t = time_of(i);
    truth.push_back({x0 + vx * t, y0 + vy * t - 0.5 * g * t * t});
    const double x = truth.back()[0] + wrong * std::sin(i), y = truth.back()[1] + wrong * std::cos(i);
    frames.push_back(draw({{x / 10, y / 10, r / 10, {255, 0, 0}}}));
  }
  if (wrong > 0.15) frames[9] = Frame(64, 64, 255);
  const PhyWorldOne out = phyworld_one(frames, truth, r, vx, PixelPitch::published);
  for (const double mine :
       {out.x_error, out.y_error, out.vx_error, out.vy_error, out.radius_range, out.mean_speed_error}) {
    double theirs = 0;
    in >> theirs;
    CHECK(mine == Approx(theirs).epsilon(1e-9).margin(1e-12));
  }
  // The renderer's pitch takes the scale error away; what is left is the mask's.
  const PhyWorldOne right = phyworld_one(frames, truth, r, vx, PixelPitch::renderer);
  if (wrong == 0) CHECK(right.mean_speed_error < 0.25 * out.mean_speed_error);
}

void check_two(std::istringstream& in) {
  double x1, x2, v1, v2, r1, r2, wrong;
  in >> x1 >> x2 >> v1 >> v2 >> r1 >> r2 >> wrong;
  const double hit = (x2 - x1 - r1 - r2) / (v1 + v2), m1 = r1 * r1, m2 = r2 * r2;
  const double u1 = (m1 * v1 - m2 * v2 - m2 * (v1 + v2)) / (m1 + m2), u2 = u1 + v1 + v2;
  std::vector<std::array<std::array<double, 2>, 2>> truth;
  std::vector<Frame> frames;
  for (int i = 0; i < 32; ++i) {
    const double t = time_of(i), e = wrong * std::sin(i);
    const double a = t < hit ? x1 + v1 * t : x1 + v1 * hit + u1 * (t - hit);
    const double b = t < hit ? x2 - v2 * t : x2 - v2 * hit + u2 * (t - hit);
    truth.push_back({{{a, 5}, {b, 5}}});
    frames.push_back(draw({{(a + e) / 10, 0.5, r1 / 10, {255, 0, 0}}, {(b - e) / 10, 0.5, r2 / 10, {0, 0, 255}}}));
  }
  const PhyWorldTwo out = phyworld_two(frames, truth, {{r1, r2}, {v1, v2}}, PixelPitch::published);
  for (const double mine :
       {out.before_x_error, out.after_x_error, out.before_v_error, out.after_v_error, out.before_momentum_error,
        out.after_momentum_error, out.before_energy_error, out.after_energy_error, out.radius_range}) {
    double theirs = 0;
    in >> theirs;
    CHECK(mine == Approx(theirs).epsilon(1e-9).margin(1e-12));
  }
}

}  // namespace

TEST_CASE("PSNR and SSIM are scikit-image's", "[metrics]") {
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/image_metrics.txt");
  int width, height, cases = 0;
  std::uint64_t a, b;
  double wanted_psnr, wanted_ssim;
  while (file >> width >> height >> a >> b >> wanted_psnr >> wanted_ssim) {
    const Frame p = picture(width, height, a);
    Frame q = picture(width, height, b);
    if (a == b) {
      for (int y = 0; y < height; ++y) {
        for (int i = 0; i < 3 * width; ++i) {
          q.row(y)[i] = static_cast<std::uint8_t>(std::clamp(q.row(y)[i] + i / 3 % 5 - 2, 0, 255));
        }
      }
    }
    CHECK(psnr(p, q) == Approx(wanted_psnr).epsilon(1e-12));
    CHECK(ssim(p, q) == Approx(wanted_ssim).epsilon(1e-9));
    ++cases;
  }
  CHECK(cases == 5);
}

TEST_CASE("equal frames, wrong sizes, whole clips", "[metrics]") {
  const Frame p = picture(16, 12, 1), q = picture(16, 12, 2);
  CHECK(psnr(p, p) == 100);
  CHECK(ssim(p, p) == Approx(1).epsilon(1e-12));
  CHECK_THROWS_AS(psnr(p, picture(12, 16, 1)), InputError);
  CHECK_THROWS_AS(ssim(picture(16, 10, 1), picture(16, 10, 2)), InputError);
  const std::vector<Frame> a{p, p}, b{p, q};
  const FrameScores scores = score_frames(a, b);
  CHECK(scores.mean.psnr == Approx((100 + psnr(p, q)) / 2));
  CHECK(scores.frames[1].ssim == ssim(p, q));
  CHECK_THROWS_AS(score_frames(a, std::vector<Frame>{p}), InputError);
  CHECK_THROWS_AS(score_frames(std::vector<Frame>{}, std::vector<Frame>{}), InputError);
}

TEST_CASE("PhyWorld's errors are those of its evaluate.py", "[metrics]") {
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/phyworld.txt");
  std::string line, kind;
  int cases = 0;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    in >> kind;
    kind == "one" ? check_one(in) : check_two(in);
    ++cases;
  }
  CHECK(cases == 5);
}
