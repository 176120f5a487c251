#include "core/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"

namespace orrery {

namespace {

struct Candidate {
  double logit;  // tempered, relative to the largest: ≤ 0
  std::int32_t id;
};

// Likelier first; equal ones by id, so that the order is one.
bool before(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

// Uniform in [0, 1), 53 bits.
double uniform_at(std::uint64_t seed, std::uint64_t position) {
  constexpr std::uint32_t kStream = 0x73616D70;  // "samp": apart from other uses of the seed
  const auto words =
      philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), kStream, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return static_cast<double>(((std::uint64_t{words[0]} << 32) | words[1]) >> 11) * 0x1.0p-53;
}

// Keeps the smallest likeliest part of sorted candidates that holds `top_p` of their probability.
void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += std::exp(candidate.logit);
  double sum = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sum += std::exp(candidates[i].logit);
    if (sum >= top_p * total) {
      candidates.resize(i + 1);
      return;
    }
  }
}

}  // namespace

void SamplingOptions::validate() const {
  ORRERY_CHECK(std::isfinite(temperature) && temperature >= 0 && temperature <= 100, "temperature is ", temperature,
               ", expected 0 to 100");
  ORRERY_CHECK(top_k >= 0, "top-k is ", top_k, ", expected 0 (no limit) or more");
  ORRERY_CHECK(top_p > 0 && top_p <= 1, "top-p is ", top_p, ", expected more than 0, at most 1");
  ORRERY_CHECK(min_p >= 0 && min_p <= 1, "min-p is ", min_p, ", expected 0 to 1");
}

Sampler::Sampler(const SamplingOptions& options, std::uint64_t seed) : options_(options), seed_(seed) {
  options_.validate();
}

std::int32_t Sampler::sample(std::span<const float> logits, std::int32_t first, std::int32_t last,
                             std::uint64_t position) const {
  ORRERY_ASSERT(first >= 0 && first < last && static_cast<std::size_t>(last) <= logits.size(), "[sampler] tokens ",
                first, " to ", last, " of ", logits.size(), " logits");
  std::int32_t best = first;
  for (std::int32_t id = first; id < last; ++id) {
    const float logit = logits[static_cast<std::size_t>(id)];
    ORRERY_ASSERT(!std::isnan(logit), "[sampler] the logit of token ", id, " at position ", position,
                  " is not a number");
    if (logit > logits[static_cast<std::size_t>(best)]) best = id;
  }
  const double largest = logits[static_cast<std::size_t>(best)];
  ORRERY_ASSERT(std::isfinite(largest), "[sampler] the largest logit at position ", position, " is ", largest);
  if (options_.temperature == 0 || options_.top_k == 1) return best;

  constexpr double kNever = 40;
  const double least = options_.min_p > 0 ? std::max(-kNever, std::log(options_.min_p)) : -kNever;
  std::vector<Candidate> candidates;
  for (std::int32_t id = first; id < last; ++id) {
    const double logit = (logits[static_cast<std::size_t>(id)] - largest) / options_.temperature;
    if (logit >= least) candidates.push_back({logit, id});
  }
  if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(options_.top_k),
                     candidates.end(), before);
    candidates.resize(static_cast<std::size_t>(options_.top_k));
  }
  std::sort(candidates.begin(), candidates.end(), before);
  if (options_.top_p < 1) keep_top_p(candidates, options_.top_p);

  double total = 0;
  for (Candidate& candidate : candidates)
    total += (candidate.logit = std::exp(candidate.logit));  // from here on: weights
  double at = uniform_at(seed_, position) * total;
  for (const Candidate& candidate : candidates) {
    at -= candidate.logit;
    if (at < 0) return candidate.id;
  }
  return candidates.back().id;  // rounding
}

}  // namespace orrery
