// Routing: a warp a token. Scores are computed in f64, so that a CPU and a card choose the same experts.
#include <cmath>

#include "kernels/api/moe.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"

namespace orrery::gpu {

namespace {

// scores[e] of one token, written by all lanes.
ORRERY_ON_DEVICE void write_scores(const float* logits, std::int64_t experts, RouterScore kind, int lane,
                                   double* scores) {
  double top = -INFINITY, total = 0;
  if (kind == RouterScore::softmax) {
    for (std::int64_t e = lane; e < experts; e += kWarp) top = fmax(top, static_cast<double>(logits[e]));
    top = warp_max(top);
    for (std::int64_t e = lane; e < experts; e += kWarp) total += exp(static_cast<double>(logits[e]) - top);
    total = warp_sum(total);
  }
  for (std::int64_t e = lane; e < experts; e += kWarp) {
    const double x = static_cast<double>(logits[e]);
    scores[e] = kind == RouterScore::sqrt_softplus ? sqrt(softplus(x))
                : kind == RouterScore::sigmoid     ? sigmoid(x)
                                                   : exp(x - top) / total;
  }
  warp_sync();
}

struct Choice {
  float value;
  std::int32_t index;  // −1: none
};
// The larger, of equals the lower index; a choice always beats none.
ORRERY_ON_DEVICE Choice better(Choice a, Choice b) {
  if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}
ORRERY_ON_DEVICE Choice warp_best(Choice mine) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2)
    mine = better(mine, Choice{shuffle_xor(mine.value, mask), shuffle_xor(mine.index, mask)});
  return mine;
}

struct Route {
  const float *logits, *bias;
  const std::int32_t* given;
  std::int32_t* ids;
  float *weights, *scores;
  std::int64_t experts, count;
  RouteOptions options;

  ORRERY_ON_DEVICE float group_score(const float* biased, std::int64_t first, std::int64_t size) const {
    float best = -INFINITY, second = -INFINITY;
    for (std::int64_t e = first; e < first + size; ++e) {
      if (biased[e] > best) {
        second = best;
        best = biased[e];
      } else if (biased[e] > second) {
        second = biased[e];
      }
    }
    return best + (size > 1 ? second : 0.0f);
  }

  // open[e] = 1 for experts that may be chosen.
  ORRERY_ON_DEVICE void open_groups(const float* biased, float* group_scores, unsigned char* open, int lane) const {
    const std::int64_t size = experts / options.groups;
    for (std::int64_t g = lane; g < options.groups; g += kWarp) group_scores[g] = group_score(biased, g * size, size);
    for (std::int64_t e = lane; e < experts; e += kWarp) open[e] = options.groups > 1 ? 0 : 1;
    warp_sync();
    if (options.groups == 1) return;
    // A group that is taken opens its experts: that also marks it as taken.
    for (std::int64_t kept = 0; kept < options.kept_groups; ++kept) {
      Choice mine{0, -1};
      for (std::int64_t g = lane; g < options.groups; g += kWarp)
        if (open[g * size] == 0) mine = better(mine, {group_scores[g], static_cast<std::int32_t>(g)});
      const Choice best = warp_best(mine);
      if (best.index < 0) return;
      for (std::int64_t e = lane; e < size; e += kWarp) open[best.index * size + e] = 1;
      warp_sync();
    }
  }

  ORRERY_ON_DEVICE void operator()(std::int64_t t, int lane, unsigned char* memory) const {
    auto* score = reinterpret_cast<double*>(memory);
    auto* biased = reinterpret_cast<float*>(score + experts);
    auto* group_scores = biased + experts;
    auto* open = reinterpret_cast<unsigned char*>(group_scores + options.groups);
    write_scores(logits + t * experts, experts, options.score, lane, score);
    for (std::int64_t e = lane; e < experts; e += kWarp)
      biased[e] = static_cast<float>(score[e]) + (bias ? bias[e] : 0.0f);
    warp_sync();
    if (!given) open_groups(biased, group_scores, open, lane);
    double total = 1e-20;
    for (std::int64_t j = 0; j < count; ++j) {
      std::int32_t expert = 0;
      if (given) {
        expert = given[t * count + j];
      } else {
        Choice mine{0, -1};
        for (std::int64_t e = lane; e < experts; e += kWarp)
          if (open[e] != 0) mine = better(mine, {biased[e], static_cast<std::int32_t>(e)});
        expert = warp_best(mine).index;
        if (expert < 0) expert = 0;  // fewer open experts than choices: the caller has refused that
        if (lane == 0) open[expert] = 0;
        warp_sync();
      }
      if (lane == 0) ids[t * count + j] = expert;
      total += score[expert];
      if (lane == 0) weights[t * count + j] = static_cast<float>(score[expert]);
    }
    if (!options.normalize) total = 1;
    if (lane == 0)
      for (std::int64_t j = 0; j < count; ++j)
        weights[t * count + j] =
            static_cast<float>(score[ids[t * count + j]] / total * static_cast<double>(options.scaling));
    if (scores)
      for (std::int64_t e = lane; e < experts; e += kWarp) scores[t * experts + e] = static_cast<float>(score[e]);
  }
};

struct RouteBackward {
  const float* logits;
  const std::int32_t* ids;
  const float *grad_weights, *grad_scores;
  float* grad_logits;
  std::int64_t experts, count;
  RouteOptions options;

  ORRERY_ON_DEVICE double slope(double x, double score) const {
    switch (options.score) {
      case RouterScore::sqrt_softplus:
        return score > 0 ? sigmoid(x) / (2 * score) : 0.0;
      case RouterScore::sigmoid:
        return score * (1 - score);
      case RouterScore::softmax:
        return score;
    }
    return 0;
  }

  ORRERY_ON_DEVICE void operator()(std::int64_t t, int lane, unsigned char* memory) const {
    auto *score = reinterpret_cast<double*>(memory), *g = score + experts;
    write_scores(logits + t * experts, experts, options.score, lane, score);
    for (std::int64_t e = lane; e < experts; e += kWarp)
      g[e] = grad_scores ? static_cast<double>(grad_scores[t * experts + e]) : 0.0;
    warp_sync();
    double total = 1e-20, dot = 0;
    for (std::int64_t j = t * count; j < (t + 1) * count; ++j) {
      total += score[ids[j]];
      dot += static_cast<double>(grad_weights[j]) * score[ids[j]];
    }
    if (lane == 0) {
      for (std::int64_t j = t * count; j < (t + 1) * count; ++j) {
        const double w = static_cast<double>(grad_weights[j]);
        g[ids[j]] += static_cast<double>(options.scaling) * (options.normalize ? w / total - dot / (total * total) : w);
      }
    }
    warp_sync();
    double mean = 0;
    for (std::int64_t e = lane; e < experts; e += kWarp) mean += score[e] * g[e];
    mean = options.score == RouterScore::softmax ? warp_sum(mean) : 0.0;
    for (std::int64_t e = lane; e < experts; e += kWarp)
      grad_logits[t * experts + e] =
          static_cast<float>(slope(static_cast<double>(logits[t * experts + e]), score[e]) * (g[e] - mean));
  }
};

std::int64_t rounded(std::int64_t bytes) { return (bytes + 15) / 16 * 16; }

void route(const RouteArgs& args) {
  const std::int64_t experts = args.logits.shape[1];
  launch_rows(RouteArgs::kOp, args.logits.shape[0],
              rounded(experts * (8 + 4 + 1) + args.options.groups * std::int64_t{sizeof(float)}),
              Route{args.logits.as<const float>(), args.bias.as<const float>(), args.given.as<const std::int32_t>(),
                    args.ids.as<std::int32_t>(), args.weights.as<float>(), args.scores.as<float>(), experts,
                    args.ids.shape[1], args.options});
}

void route_backward(const RouteBackwardArgs& args) {
  const std::int64_t experts = args.logits.shape[1];
  launch_rows(RouteBackwardArgs::kOp, args.logits.shape[0], rounded(experts * 16),
              RouteBackward{args.logits.as<const float>(), args.ids.as<const std::int32_t>(),
                            args.grad_weights.as<const float>(), args.grad_scores.as<const float>(),
                            args.grad_logits.as<float>(), experts, args.ids.shape[1], args.options});
}

}  // namespace

void add_route_kernels() {
  add_kernel<RouteArgs>(Device::cuda, "warps", route);
  add_kernel<RouteBackwardArgs>(Device::cuda, "warps", route_backward);
}

}  // namespace orrery::gpu
