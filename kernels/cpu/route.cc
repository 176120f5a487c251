// The fast router of kernels/api/moe.h on Highway: scores in vectors over experts, the choice by insertion.
#include <cmath>
#include <limits>

#include "kernels/api/moe.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/route.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// log(1 + y) for y in [0, 1]: 2 artanh(y / (2 + y)); the argument is at most 1/3, so seven terms reach f32's precision.
HWY_INLINE Vec log1p(Vec y) {
  const Vec z = hn::Div(y, hn::Add(set(2.0f), y)), square = hn::Mul(z, z);
  Vec sum = set(1.0f / 13);
  for (const float term : {1.0f / 11, 1.0f / 9, 1.0f / 7, 1.0f / 5, 1.0f / 3, 1.0f})
    sum = hn::MulAdd(sum, square, set(term));
  return hn::Mul(hn::Add(z, z), sum);
}

HWY_INLINE Vec softplus(Vec x) { return hn::Add(hn::Max(x, zero()), log1p(exp(hn::Neg(hn::Abs(x))))); }

void scores_of(const float* logits, std::int64_t experts, RouterScore kind, float* scores) {
  if (kind == RouterScore::sqrt_softplus)
    return for_vectors(
        experts, [&](std::int64_t, auto get, auto put) HWY_ATTR { put(hn::Sqrt(softplus(get(logits))), scores); });
  if (kind == RouterScore::sigmoid)
    return for_vectors(experts, [&](std::int64_t, auto get, auto put) HWY_ATTR { put(sigmoid(get(logits)), scores); });
  float top = logits[0], total = 0;
  for (std::int64_t e = 1; e < experts; ++e) top = std::max(top, logits[e]);
  for_vectors(experts,
              [&](std::int64_t, auto get, auto put) HWY_ATTR { put(exp(hn::Sub(get(logits), set(top))), scores); });
  for (std::int64_t e = 0; e < experts; ++e) total += scores[e];
  for (std::int64_t e = 0; e < experts; ++e) scores[e] /= total;
}

// The `want` best of keys [begin, end) added to a list of `have` in descending order; of equal ones the earlier stays
// ahead.
std::int64_t insert_best(const float* keys, std::int64_t begin, std::int64_t end, std::int64_t want, std::int64_t have,
                         std::int32_t* list) {
  for (std::int64_t e = begin; e < end; ++e) {
    if (have == want && !(keys[e] > keys[list[want - 1]])) continue;
    std::int64_t at = have < want ? have++ : want - 1;
    for (; at > 0 && keys[e] > keys[list[at - 1]]; --at) list[at] = list[at - 1];
    list[at] = static_cast<std::int32_t>(e);
  }
  return have;
}

// Scratch: [experts] scores, [experts] biased ones, [groups] group scores, [groups] kept groups.
void choose(const RouteArgs& args, const float* biased, float* group_scores, std::int32_t* kept, std::int32_t* ids) {
  const std::int64_t experts = args.logits.shape[1], want = args.ids.shape[1], groups = args.options.groups;
  if (groups <= 1) {
    insert_best(biased, 0, experts, want, 0, ids);
    return;
  }
  const std::int64_t members = experts / groups;
  for (std::int64_t g = 0; g < groups; ++g) {
    std::int32_t best[2];
    const std::int64_t found = insert_best(biased, g * members, (g + 1) * members, 2, 0, best);
    group_scores[g] = biased[best[0]] + (found > 1 ? biased[best[1]] : 0.0f);
  }
  insert_best(group_scores, 0, groups, args.options.kept_groups, 0, kept);
  std::sort(kept, kept + args.options.kept_groups);
  std::int64_t have = 0;
  for (std::int64_t g = 0; g < args.options.kept_groups; ++g)
    have = insert_best(biased, kept[g] * members, (kept[g] + 1) * members, want, have, ids);
}

void route_tokens(const RouteArgs& args, std::int64_t begin, std::int64_t end, Arena& arena) {
  const std::int64_t experts = args.logits.shape[1], count = args.ids.shape[1],
                     groups = std::max<std::int64_t>(1, args.options.groups);
  arena.reset(2 * experts + 2 * groups);
  float *own = arena.take(experts), *biased = arena.take(experts), *group_scores = arena.take(groups);
  std::int32_t* kept = arena.take<std::int32_t>(groups);
  for (std::int64_t t = begin; t < end; ++t) {
    float* scores = args.scores ? args.scores.as<float>() + t * experts : own;
    scores_of(args.logits.as<const float>() + t * experts, experts, args.options.score, scores);
    std::int32_t* ids = args.ids.as<std::int32_t>() + t * count;
    if (args.given) {
      for (std::int64_t j = 0; j < count; ++j) ids[j] = args.given.as<const std::int32_t>()[t * count + j];
    } else {
      for (std::int64_t e = 0; e < experts; ++e)
        biased[e] = scores[e] + (args.bias ? args.bias.as<const float>()[e] : 0.0f);
      choose(args, biased, group_scores, kept, ids);
    }
    float total = 1e-20f;
    for (std::int64_t j = 0; j < count; ++j) total += scores[ids[j]];
    const float factor = args.options.scaling / (args.options.normalize ? total : 1.0f);
    for (std::int64_t j = 0; j < count; ++j) args.weights.as<float>()[t * count + j] = scores[ids[j]] * factor;
  }
}

void grad_logits(const float* logits, const float* scores, const float* g, std::int64_t experts, RouterScore kind,
                 float* out) {
  float mean = 0;
  if (kind == RouterScore::softmax)
    for (std::int64_t e = 0; e < experts; ++e) mean += scores[e] * g[e];
  for_vectors(experts, [&](std::int64_t, auto get, auto put) HWY_ATTR {
    const Vec s = get(scores);
    Vec slope = s;
    if (kind == RouterScore::sigmoid) slope = hn::Mul(s, hn::Sub(set(1.0f), s));
    if (kind == RouterScore::sqrt_softplus)
      slope = hn::IfThenElseZero(hn::Gt(s, zero()), hn::Div(sigmoid(get(logits)), hn::Add(s, s)));
    put(hn::Mul(slope, hn::Sub(get(g), set(mean))), out);
  });
}

void route_backward_tokens(const RouteBackwardArgs& args, std::int64_t begin, std::int64_t end, Arena& arena) {
  const std::int64_t experts = args.logits.shape[1], count = args.ids.shape[1];
  arena.reset(2 * experts);
  float *scores = arena.take(experts), *g = arena.take(experts);
  for (std::int64_t t = begin; t < end; ++t) {
    const float *logits = args.logits.as<const float>() + t * experts,
                *grad_weights = args.grad_weights.as<const float>() + t * count;
    const std::int32_t* ids = args.ids.as<const std::int32_t>() + t * count;
    scores_of(logits, experts, args.options.score, scores);
    for (std::int64_t e = 0; e < experts; ++e)
      g[e] = args.grad_scores ? args.grad_scores.as<const float>()[t * experts + e] : 0.0f;
    float total = 1e-20f, dot = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      total += scores[ids[j]];
      dot += grad_weights[j] * scores[ids[j]];
    }
    for (std::int64_t j = 0; j < count; ++j)
      g[ids[j]] +=
          args.options.scaling * (args.options.normalize ? (grad_weights[j] - dot / total) / total : grad_weights[j]);
    grad_logits(logits, scores, g, experts, args.options.score, args.grad_logits.as<float>() + t * experts);
  }
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(route_tokens);
HWY_EXPORT(route_backward_tokens);

void route(const RouteArgs& args) {
  parallel_blocks(args.logits.shape[0], 64, [&](std::int64_t begin, std::int64_t end) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(route_tokens)(args, begin, end, arena);
  });
}

void route_backward(const RouteBackwardArgs& args) {
  parallel_blocks(args.logits.shape[0], 64, [&](std::int64_t begin, std::int64_t end) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(route_backward_tokens)(args, begin, end, arena);
  });
}

}  // namespace

void add_route_kernels() {
  add_kernel<RouteArgs>(Device::cpu, "simd", route);
  add_kernel<RouteBackwardArgs>(Device::cpu, "simd", route_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
