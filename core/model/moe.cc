// Mixture of experts of DeepSeek-V4 (arXiv 2606.19348, §2.1): tokens grouped by expert, one product an expert, no
// drops; a shared expert beside them; hash layers choose by token id.
#include "core/ops/moe.h"

#include <algorithm>

#include "core/autograd/autograd.h"
#include "core/model/code_digits.h"
#include "core/model/layers.h"
#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

// [T, k] i32: the experts of each token.
Tensor hash_choice(const Tensor& ids, const Tensor& tid2eid) {
  const std::int64_t tokens = ids.numel(), k = tid2eid.dim(1);
  const Tensor given = Tensor::empty({tokens, k}, DType::i32);
  const auto *id = ids.data<std::int32_t>(), *table = tid2eid.data<std::int32_t>();
  auto* out = given.data<std::int32_t>();
  for (std::int64_t t = 0; t < tokens; ++t) std::copy_n(table + id[t] * k, k, out + t * k);
  return given;
}

// The routing families: adding one is a row here, one in config.cc, and a test row.
struct Routing {
  MlpKind kind;
  RouterScore score;
  bool groups;  // choose among the best groups of experts only
};
constexpr Routing kRoutings[] = {
    {MlpKind::hash_moe, RouterScore::sqrt_softplus, false},
    {MlpKind::moe, RouterScore::sqrt_softplus, false},
    {MlpKind::grouped, RouterScore::sigmoid, true},
};

RouteOptions route_options(MlpKind kind, const ModelConfig& config) {
  RouteOptions options;
  options.scaling = static_cast<float>(config.routed_scaling_factor);
  for (const Routing& row : kRoutings) {
    if (row.kind != kind) continue;
    options.score = row.score;
    if (row.groups) options.groups = config.n_group, options.kept_groups = config.topk_group;
    return options;
  }
  throw Error(std::string("[moe] no routing ") + name_of(kind));
}

Tensor shared_expert(const Tensor& h, const MoeWeights& weights, float limit) {
  const Tensor gate_up = ops::concat({weights.shared_gate, weights.shared_up}, 0);
  return ops::linear(ops::swiglu(ops::linear(h, gate_up), limit), weights.shared_down);
}

// Σ over tokens and experts of (score − the expert's mean score)²: one element, f32.
Tensor squares_of(const Tensor& scores) {
  const NoGrad guard;
  const Tensor centred = ops::sub(scores.detach(), ops::mean(scores.detach(), {0}, /*keep=*/true));
  return ops::sum(ops::mul(centred, centred));
}

}  // namespace

Tensor balance_loss(const Tensor& scores, std::int64_t sequences, std::int64_t count) {
  const std::int64_t experts = scores.dim(1), length = scores.dim(0) / sequences;
  Tensor chosen;  // [sequences, experts]: how often among the `count` best, even use being 1
  {
    const NoGrad guard;
    const Tensor best = ops::top_k(scores.detach(), count).indices;
    const Tensor hits = ops::one_hot(best.reshaped({scores.dim(0) * count}), experts);
    const Tensor counts = ops::sum(ops::reshape(hits, {sequences, length * count, experts}), {1});
    chosen = ops::scale(counts, static_cast<float>(experts) / static_cast<float>(count * length));
  }
  const Tensor share = ops::div(scores, ops::sum(scores, {1}, /*keep=*/true));
  const Tensor mean_share = ops::mean(ops::reshape(share, {sequences, length, experts}), {1});
  return ops::scale(ops::sum(ops::mul(mean_share, chosen)), 1.0f / static_cast<float>(sequences));
}

MoeResult mixture_of_experts(const Tensor& h, MlpKind kind, const MoeWeights& weights, const LayerContext& context) {
  const ModelConfig& c = context.config;
  const auto limit = static_cast<float>(c.swiglu_limit);
  if (kind == MlpKind::dense) return {shared_expert(h, weights, limit), Tensor(), {}};
  const Tensor logits = ops::linear(ops::cast(h, DType::f32), weights.gate);
  const Tensor given = kind == MlpKind::hash_moe ? hash_choice(table_rows(context.ids, c), weights.tid2eid) : Tensor();
  const ops::Routing routing = ops::route(logits, weights.bias, given, c.num_experts_per_tok, route_options(kind, c));
  const ops::MoePlan plan = ops::moe_plan(routing.ids, c.n_routed_experts);

  const Tensor rows = ops::moe_gather(h, plan);
  const Tensor inner = ops::swiglu(ops::grouped_linear(rows, weights.gate_up_proj, plan.offsets), limit);
  const Tensor routed =
      ops::moe_combine(ops::grouped_linear(inner, weights.down_proj, plan.offsets), routing.weights, plan);

  MoeResult result;
  result.use.offsets = plan.offsets;
  result.out = ops::add(routed, shared_expert(h, weights, limit));
  if (context.options.balance && is_scored(kind))
    result.balance_loss = balance_loss(routing.scores, context.batch, c.num_experts_per_tok);
  if (context.options.spread && is_scored(kind)) result.use.squares = squares_of(routing.scores);
  return result;
}

}  // namespace orrery
