// Fréchet and kernel distances against SciPy and NumPy; features; bootstrap; bad input.
#include "physics_eval/fvd/frechet.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/fvd/features.h"
#include "physics_eval/fvd/protocol.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

using Features = std::vector<std::vector<double>>;

// The formula of tests/fixtures/make_frechet.py.
Features features(int n, int d, int seed) {
  Features out(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < d; ++k) {
      const std::uint64_t hash = (static_cast<std::uint64_t>(i) * 2654435761U + static_cast<std::uint64_t>(k) * 40503U +
                                  static_cast<std::uint64_t>(seed) * 97U) %
                                 4294967296U;
      out[static_cast<std::size_t>(i)].push_back(std::sin(i * 0.37 + seed) * std::cos(k * 0.11) +
                                                 0.5 * static_cast<double>(hash) / 4294967296.0 + 0.01 * seed * k);
    }
  }
  return out;
}

FeatureStatistics statistics(const Features& set) {
  FeatureStatistics out(static_cast<int>(set[0].size()));
  for (const auto& f : set) out.add(f);
  return out;
}

std::vector<Frame> moving_square(int frames, int step) {
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    Frame frame(48, 48, 30);
    for (int y = 10; y < 22; ++y) {
      for (int x = 0; x < 12; ++x) frame.at((4 + t * step + x) % 48, y)[0] = 220;
    }
    out.push_back(std::move(frame));
  }
  return out;
}

}  // namespace

TEST_CASE("Frechet and kernel distances are SciPy's", "[fvd]") {
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/frechet.txt");
  std::string line;
  int cases = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    int n1, n2, d, s1, s2;
    double wanted, kernel;
    REQUIRE((in >> n1 >> n2 >> d >> s1 >> s2 >> wanted >> kernel));
    CAPTURE(n1, n2, d);
    const Features a = features(n1, d, s1), b = features(n2, d, s2);
    CHECK(frechet_distance(statistics(a), statistics(b)) == Approx(wanted).epsilon(1e-6).margin(1e-6));
    CHECK(set_distance(a, b) == Approx(wanted).epsilon(1e-6).margin(1e-6));  // by fewer directions where it can
    if (n1 < 1000) CHECK(set_distance(a, b, {SetDistance::kernel}) == Approx(kernel).epsilon(1e-9));
    ++cases;
  }
  CHECK(cases == 11);
}

TEST_CASE("distances of known sets", "[fvd]") {
  // One dimension: (μ₁ − μ₂)² + (σ₁ − σ₂)².
  const Features a{{0}, {2}}, b{{10}, {16}};
  CHECK(set_distance(a, b) == Approx(144 + 8.0));
  CHECK(set_distance(a, b, {SetDistance::frechet, false}) == Approx(144 + 4.0));
  const Features one{{1.0, 2.0}}, same{{1.0, 2.0}};
  CHECK(set_distance(one, same) == Approx(0).margin(1e-12));
  CHECK(jedi_distance(one, same) == Approx(0).margin(1e-12));
  // Biased, (x·y/d)²: x = (1, 0), y = (0, 1), d = 2: ¼ + ¼ − 0.
  CHECK(jedi_distance({{1, 0}}, {{0, 1}}) == Approx(50));
}

TEST_CASE("bootstrap intervals hold the figure and repeat", "[fvd]") {
  const Features a = features(60, 6, 1), b = features(60, 6, 4);
  const Interval one = bootstrap_interval(a, b, {}, 60, 5), two = bootstrap_interval(a, b, {}, 60, 5);
  CHECK(one.low == two.low);
  CHECK(one.high == two.high);
  const double value = set_distance(a, b);
  CHECK(one.low < value * 1.2);
  CHECK(one.high > value);
}

TEST_CASE("sets that cannot be compared say so", "[fvd]") {
  const auto frechet = [](const Features& a, const Features& b) { return set_distance(a, b); };
  CHECK_THROWS_AS(frechet({}, {{1.0}}), InputError);
  CHECK_THROWS_AS(frechet({{1.0}}, {{1.0, 2.0}}), InputError);
  CHECK_THROWS_AS(frechet({{std::numeric_limits<double>::quiet_NaN()}}, {{1.0}}), InputError);
  CHECK_THROWS_AS(kernel_distance({{1.0}}, {{1.0}}), InputError);
  CHECK_THROWS_AS(make_features("i3d"), InputError);
}

TEST_CASE("features tell clips apart, whatever their length", "[fvd]") {
  for (const char* name : {"handmade", "motion"}) {
    const auto extractor = make_features(name);
    const auto vector = [&](int frames, int step) {
      const auto all = extractor->extract(moving_square(frames, step));
      REQUIRE(all.size() == 1);
      return all[0];
    };
    const auto still = vector(20, 0), slow = vector(20, 1), longer = vector(33, 1);
    CHECK(still.size() == (std::string(name) == "motion" ? 96 : 240));
    CHECK(longer.size() == still.size());
    CHECK(slow == vector(20, 1));
    double apart = 0;
    for (std::size_t i = 0; i < still.size(); ++i) apart += std::abs(still[i] - slow[i]);
    CHECK(apart > 0.1);
    CHECK_THROWS_AS(extractor->extract(moving_square(1, 1)), InputError);
  }
}

TEST_CASE("protocols by name say how clips are prepared", "[fvd]") {
  CHECK(fvd_protocol("stylegan-v").population);
  CHECK_FALSE(fvd_protocol("google-research").population);
  CHECK(fvd_protocol("common-metrics").crop);
  CHECK(fvd_protocol("common-metrics").least_frames == 10);
  CHECK(fvd_protocol_names().size() == fvd_protocols().size());
  CHECK_THROWS_AS(fvd_protocol("fvd"), InputError);
  Frame wide(7, 4);
  for (int x = 0; x < 7; ++x) {
    for (int y = 0; y < 4; ++y) wide.at(x, y)[0] = static_cast<std::uint8_t>(10 * x + y);
  }
  const Frame square = middle_square(wide);
  CHECK(square.width() == 4);
  CHECK(square.height() == 4);
  CHECK(square.at(0, 0)[0] == 10);
  CHECK(square.at(3, 2)[0] == 42);
  CHECK(middle_square(square) == square);
}
