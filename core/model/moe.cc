// Mixture of experts of DeepSeek-V4 (arXiv 2606.19348, §2.1): tokens grouped by expert, one product an expert, no
// drops; a shared expert beside them; hash layers choose by token id.
#include "core/ops/moe.h"

#include <algorithm>

#include "core/model/layers.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
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

}  // namespace

Tensor mixture_of_experts(const Tensor& h, MlpKind kind, const MoeWeights& weights, const LayerContext& context,
                          std::vector<std::int64_t>& load) {
  const ModelConfig& c = context.config;
  const auto limit = static_cast<float>(c.swiglu_limit);
  const Tensor logits = ops::linear(ops::cast(h, DType::f32), weights.gate);
  const Tensor given = kind == MlpKind::hash_moe ? hash_choice(context.ids, weights.tid2eid) : Tensor();
  RouteOptions route;
  route.scaling = static_cast<float>(c.routed_scaling_factor);
  const ops::Routing routing = ops::route(logits, weights.bias, given, c.num_experts_per_tok, route);
  const ops::MoePlan plan = ops::moe_plan(routing.ids, c.n_routed_experts);

  const Tensor rows = ops::moe_gather(h, plan);
  const Tensor inner = ops::swiglu(ops::grouped_linear(rows, weights.gate_up_proj, plan.offsets), limit);
  const Tensor routed =
      ops::moe_combine(ops::grouped_linear(inner, weights.down_proj, plan.offsets), routing.weights, plan);

  const Tensor shared_gate_up = ops::concat({weights.shared_gate, weights.shared_up}, 0);
  const Tensor shared = ops::linear(ops::swiglu(ops::linear(h, shared_gate_up), limit), weights.shared_down);

  const auto* offsets = plan.offsets.data<std::int32_t>();
  for (std::int64_t e = 0; e < c.n_routed_experts; ++e) load.push_back(offsets[e + 1] - offsets[e]);
  return ops::add(routed, shared);
}

}  // namespace orrery
