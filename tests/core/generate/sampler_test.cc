// The sampler: what it may draw, how often it draws it, and what its numbers depend on.
#include "core/generate/sampler.h"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr int kDraws = 40000;

std::map<std::int32_t, int> draw(const SamplingOptions& options, const std::vector<float>& logits, std::int32_t first,
                                 std::int32_t last) {
  const Sampler sampler(options, 5);
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits, first, last, static_cast<std::uint64_t>(i))];
  return counts;
}

// Pearson's statistic against probabilities; an id that should not be drawn makes it infinite.
double chi_square(const std::map<std::int32_t, int>& counts, const std::map<std::int32_t, double>& weights) {
  double total = 0, sum = 0;
  for (const auto& [id, weight] : weights) total += weight;
  for (const auto& [id, count] : counts)
    if (weights.count(id) == 0) return std::numeric_limits<double>::infinity();
  for (const auto& [id, weight] : weights) {
    const double expected = weight / total * kDraws;
    const double found = counts.count(id) > 0 ? counts.at(id) : 0;
    sum += (found - expected) * (found - expected) / expected;
  }
  return sum;
}

// Probabilities 0.4, 0.3, 0.2, 0.1 for tokens 2 to 5; what lies around them is likelier and not allowed.
const std::vector<float> kLogits = {9, 8, std::log(0.4f), std::log(0.1f), std::log(0.3f), std::log(0.2f), 7};

}  // namespace

TEST_CASE("draws follow the distribution, within the range", "[sampler]") {
  // 3 degrees of freedom: chi-square above 16.3 happens once in a thousand seeds; the seed is fixed.
  CHECK(chi_square(draw({}, kLogits, 2, 6), {{2, 0.4}, {3, 0.1}, {4, 0.3}, {5, 0.2}}) < 16.3);
  SamplingOptions cold;
  cold.temperature = 0.5;
  CHECK(chi_square(draw(cold, kLogits, 2, 6), {{2, 0.16}, {3, 0.01}, {4, 0.09}, {5, 0.04}}) < 16.3);
}

TEST_CASE("top-k, top-p and min-p cut where they should", "[sampler]") {
  SamplingOptions top_k, top_p, min_p, all;
  top_k.top_k = 2;
  CHECK(chi_square(draw(top_k, kLogits, 2, 6), {{2, 0.4}, {4, 0.3}}) < 10.8);
  top_p.top_p = 0.75;  // 0.4 + 0.3 is not enough
  CHECK(chi_square(draw(top_p, kLogits, 2, 6), {{2, 0.4}, {4, 0.3}, {5, 0.2}}) < 13.8);
  min_p.min_p = 0.4;  // 0.16 and above
  CHECK(chi_square(draw(min_p, kLogits, 2, 6), {{2, 0.4}, {4, 0.3}, {5, 0.2}}) < 13.8);
  all.top_k = 3, all.top_p = 0.75, all.min_p = 0.1;  // of 0.9, 0.7 is 78%
  CHECK(chi_square(draw(all, kLogits, 2, 6), {{2, 0.4}, {4, 0.3}}) < 10.8);
}

TEST_CASE("temperature 0 takes the likeliest, the first of equals", "[sampler]") {
  SamplingOptions greedy;
  greedy.temperature = 0;
  CHECK(draw(greedy, kLogits, 2, 6) == std::map<std::int32_t, int>{{2, kDraws}});
  CHECK(Sampler(greedy, 1).sample(std::vector<float>{0, 3, 3, 1}, 0, 4, 0) == 1);
  SamplingOptions one;
  one.top_k = 1;
  CHECK(Sampler(one, 1).sample(std::vector<float>{0, 3, 3, 1}, 0, 4, 0) == 1);
  // Equal logits at the edge of top-k: the first ids stay.
  SamplingOptions two;
  two.top_k = 2;
  CHECK(draw(two, {1, 1, 1, 1}, 0, 4).size() == 2);
  CHECK(draw(two, {1, 1, 1, 1}, 0, 4).count(3) == 0);
}

TEST_CASE("a draw depends on seed and position alone", "[sampler]") {
  std::vector<float> flat(1000, 0.0f);
  const Sampler a({}, 1), again({}, 1), b({}, 2);
  const std::int32_t late = a.sample(flat, 0, 1000, 77);
  CHECK(again.sample(flat, 0, 1000, 77) == late);
  int same_position = 0, same_seed = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    same_position += a.sample(flat, 0, 1000, i) == a.sample(flat, 0, 1000, i + 100);
    same_seed += a.sample(flat, 0, 1000, i) == b.sample(flat, 0, 1000, i);
  }
  CHECK(same_position < 10);
  CHECK(same_seed < 10);
  // The upper half of seed and position counts too.
  CHECK(Sampler({}, 1ull << 40).sample(flat, 0, 1000, 77) != Sampler({}, 1ull << 41).sample(flat, 0, 1000, 77));
  CHECK(a.sample(flat, 0, 1000, 1ull << 40) != a.sample(flat, 0, 1000, 1ull << 41));
}

TEST_CASE("bad options and broken logits are named", "[sampler]") {
  const auto refused = [](auto change) {
    SamplingOptions options;
    change(options);
    CHECK_THROWS_AS(Sampler(options, 1), InputError);
  };
  refused([](SamplingOptions& o) { o.temperature = -1; });
  refused([](SamplingOptions& o) { o.temperature = std::numeric_limits<double>::quiet_NaN(); });
  refused([](SamplingOptions& o) { o.top_k = -1; });
  refused([](SamplingOptions& o) { o.top_p = 0; });
  refused([](SamplingOptions& o) { o.top_p = 1.1; });
  refused([](SamplingOptions& o) { o.min_p = -0.1; });
  const Sampler sampler({}, 1);
  CHECK_THROWS_AS(sampler.sample(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()}, 0, 2, 0), Error);
  CHECK_THROWS_AS(sampler.sample(std::vector<float>{0, std::numeric_limits<float>::infinity()}, 0, 2, 0), Error);
  CHECK_THROWS_AS(sampler.sample(std::vector<float>{0, 1}, 0, 3, 0), Error);
  // −∞ is a token that cannot be.
  CHECK(sampler.sample(std::vector<float>{0, -std::numeric_limits<float>::infinity()}, 0, 2, 3) == 0);
}
