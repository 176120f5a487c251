// The mixture of experts, token by token: which experts a token gets depends on nothing else, and its parts are added
// in the order of their choice.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/generate/packed.h"
#include "core/ops/backends.h"
#include "kernels/api/moe.h"

namespace orrery {

namespace {

// A token's experts in the order of their choice, and their weights (sum 1).
struct Choice {
  std::vector<std::int32_t> experts;
  Floats weights;
};

// V4: sqrt-softplus scores; by the token's row of the table, or the best of score + bias.
Choice choose(const decode::PackedLayer& layer, const float* logits, std::int64_t row, std::int64_t count,
              std::int64_t k) {
  Floats scores(static_cast<std::size_t>(count));
  for (std::int64_t e = 0; e < count; ++e) {
    const float x = logits[e];
    scores[static_cast<std::size_t>(e)] = std::sqrt(x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)));
  }
  Choice choice;
  std::vector<std::int32_t>& chosen = choice.experts;
  if (layer.mlp == MlpKind::hash_moe) {
    chosen.assign(layer.tid2eid.begin() + row * k, layer.tid2eid.begin() + (row + 1) * k);
  } else {
    chosen.resize(static_cast<std::size_t>(count));
    std::iota(chosen.begin(), chosen.end(), 0);
    std::stable_sort(chosen.begin(), chosen.end(), [&](std::int32_t a, std::int32_t b) {
      return scores[static_cast<std::size_t>(a)] + layer.router_bias[static_cast<std::size_t>(a)] >
             scores[static_cast<std::size_t>(b)] + layer.router_bias[static_cast<std::size_t>(b)];
    });
    chosen.resize(static_cast<std::size_t>(k));
  }
  float sum = 1e-20f;
  for (const std::int32_t e : chosen) sum += scores[static_cast<std::size_t>(e)];
  for (const std::int32_t e : chosen) choice.weights.push_back(scores[static_cast<std::size_t>(e)] / sum);
  return choice;
}

// [rows, width], `stride` apart, of values that the kernel may write where they are its results.
TensorView rows_of(const void* values, std::int64_t rows, std::int64_t width, std::int64_t stride, DType dtype) {
  TensorView view;
  view.data = const_cast<void*>(values);
  view.dtype = dtype;
  view.rank = 2;
  view.shape[0] = rows, view.shape[1] = width, view.strides[0] = stride, view.strides[1] = 1;
  return view;
}
TensorView one_row(const void* values, std::int64_t count, DType dtype) {
  return rows_of(values, 1, count, count, dtype);
}

// V3: sigmoid scores, the best of score + bias within the best groups. The router's kernel takes a token at a time.
Choice choose_in_groups(const decode::PackedLayer& layer, const float* logits, const ModelConfig& config) {
  const std::int64_t count = config.n_routed_experts, k = config.num_experts_per_tok;
  Choice choice{std::vector<std::int32_t>(static_cast<std::size_t>(k)), Floats(static_cast<std::size_t>(k))};
  RouteArgs args;
  args.logits = one_row(logits, count, DType::f32);
  args.bias = one_row(layer.router_bias.data(), count, DType::f32);
  args.ids = one_row(choice.experts.data(), k, DType::i32);
  args.weights = one_row(choice.weights.data(), k, DType::f32);
  args.options.score = RouterScore::sigmoid;
  args.options.groups = config.n_group, args.options.kept_groups = config.topk_group;
  ops::run(args);
  return choice;
}

// SwiGLU (kernels/api/moe.h) of rows [gate | up].
Floats swiglu(const Floats& gate_up, std::int64_t rows, std::int64_t inner, float limit) {
  Floats activated(static_cast<std::size_t>(rows * inner));
  SwigluArgs args;
  args.gate = rows_of(gate_up.data(), rows, inner, 2 * inner, DType::f32);
  args.up = rows_of(gate_up.data() + inner, rows, inner, 2 * inner, DType::f32);
  args.out = rows_of(activated.data(), rows, inner, inner, DType::f32);
  args.limit = limit;
  ops::run(args);
  return activated;
}

}  // namespace

void Decoder::Packed::experts(const decode::PackedLayer& layer, const Floats& h, std::span<const std::int32_t> ids,
                              Floats& out, TokenTrace* trace) const {
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const bool dense = layer.mlp == MlpKind::dense;
  const std::int64_t count = dense ? 0 : config.n_routed_experts, k = dense ? 0 : config.num_experts_per_tok,
                     d = config.hidden_size;
  const Floats logits = dense ? Floats() : product(h, layer.gate, tokens);
  struct Slot {
    std::int64_t token, rank;
    float weight;
  };
  std::vector<std::vector<Slot>> slots(static_cast<std::size_t>(count + 1));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* row = logits.data() + t * count;
    const Choice choice = dense ? Choice()
                          : layer.mlp == MlpKind::grouped
                              ? choose_in_groups(layer, row, config)
                              : choose(layer, row, config.table_row(ids[static_cast<std::size_t>(t)]), count, k);
    for (std::size_t j = 0; j < choice.experts.size(); ++j)
      slots[static_cast<std::size_t>(choice.experts[j])].push_back(
          {t, static_cast<std::int64_t>(j), choice.weights[j] * static_cast<float>(config.routed_scaling_factor)});
    slots[static_cast<std::size_t>(count)].push_back({t, k, 1.0f});
    if (trace != nullptr) trace[t].experts = choice.experts, trace[t].expert_weights = choice.weights;
  }
  // All experts' inputs one behind the other.
  std::vector<Slot> order;
  std::vector<std::int64_t> first(slots.size() + 1);
  for (std::size_t e = 0; e < slots.size(); ++e) {
    order.insert(order.end(), slots[e].begin(), slots[e].end());
    first[e + 1] = static_cast<std::int64_t>(order.size());
  }
  const auto rows = static_cast<std::int64_t>(order.size());
  const std::int64_t inner = layer.down.back().columns();
  Floats x(static_cast<std::size_t>(rows * d)), gate_up(static_cast<std::size_t>(rows * 2 * inner)), y(x.size());
  for (std::int64_t r = 0; r < rows; ++r)
    std::copy_n(h.data() + order[static_cast<std::size_t>(r)].token * d, d, x.data() + r * d);
  // One product an expert that has tokens.
  const auto through = [&](const std::vector<Matrix>& matrices, const Floats& from, Floats& to) {
    Products products;
    for (std::size_t e = 0; e < slots.size(); ++e) {
      const Matrix& w = matrices[e];
      if (first[e + 1] > first[e])
        products.add(from.data() + first[e] * w.columns(), w, first[e + 1] - first[e], to.data() + first[e] * w.rows(),
                     w.rows());
    }
    products.run();
  };
  through(layer.gate_up, x, gate_up);
  through(layer.down, swiglu(gate_up, rows, inner, static_cast<float>(config.swiglu_limit)), y);
  // Each token's parts are added in the order of its choice, the shared expert last.
  Floats parts(static_cast<std::size_t>(tokens * (k + 1) * d));
  for (std::int64_t r = 0; r < rows; ++r) {
    const Slot& slot = order[static_cast<std::size_t>(r)];
    for (std::int64_t i = 0; i < d; ++i)
      parts[static_cast<std::size_t>((slot.token * (k + 1) + slot.rank) * d + i)] =
          slot.weight * y[static_cast<std::size_t>(r * d + i)];
  }
  out.assign(static_cast<std::size_t>(tokens * d), 0.0f);
  parallel_for(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t j = 0; j <= k; ++j)
        for (std::int64_t i = 0; i < d; ++i)
          out[static_cast<std::size_t>(t * d + i)] += parts[static_cast<std::size_t>((t * (k + 1) + j) * d + i)];
  });
}

}  // namespace orrery
