// Plain-loop references of kernels/api/moe.h.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/api/moe.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/reference.h"

namespace orrery {

namespace {

double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<double> scores_of(const TensorView& logits, std::int64_t t, RouterScore kind) {
  const std::int64_t experts = logits.shape[1];
  std::vector<double> scores = zeros(experts);
  double top = at<float>(logits, t * experts), total = 0;
  for (std::int64_t e = 0; e < experts; ++e) top = std::max(top, at<float>(logits, t * experts + e));
  for (std::int64_t e = 0; e < experts; ++e) {
    const double x = at<float>(logits, t * experts + e);
    scores[idx(e)] = kind == RouterScore::sqrt_softplus ? std::sqrt(softplus(x))
                     : kind == RouterScore::sigmoid     ? sigmoid(x)
                                                        : std::exp(x - top);
    total += scores[idx(e)];
  }
  if (kind == RouterScore::softmax)
    for (double& s : scores) s /= total;
  return scores;
}

// Experts of the kept groups, best first; equal scores: the lowest expert.
std::vector<std::int64_t> ranked(const std::vector<float>& biased, const RouteOptions& options) {
  const std::int64_t experts = static_cast<std::int64_t>(biased.size()), per_group = experts / options.groups;
  const auto better = [](const std::vector<float>& key) {
    return [&key](std::int64_t x, std::int64_t y) { return key[idx(x)] > key[idx(y)]; };
  };
  std::vector<float> group_scores;
  for (std::int64_t g = 0; g < options.groups; ++g) {
    std::vector<float> members(biased.begin() + g * per_group, biased.begin() + (g + 1) * per_group);
    std::sort(members.rbegin(), members.rend());
    group_scores.push_back(members[0] + (per_group > 1 ? members[1] : 0.0f));
  }
  std::vector<std::int64_t> groups(idx(options.groups)), order;
  std::iota(groups.begin(), groups.end(), 0);
  std::stable_sort(groups.begin(), groups.end(), better(group_scores));
  groups.resize(idx(options.groups > 1 ? options.kept_groups : 1));
  std::sort(groups.begin(), groups.end());
  for (const std::int64_t g : groups)
    for (std::int64_t e = g * per_group; e < (g + 1) * per_group; ++e) order.push_back(e);
  std::stable_sort(order.begin(), order.end(), better(biased));
  return order;
}

void route(const RouteArgs& args) {
  const std::int64_t experts = args.logits.shape[1], count = args.ids.shape[1];
  for (std::int64_t t = 0; t < args.logits.shape[0]; ++t) {
    const std::vector<double> scores = scores_of(args.logits, t, args.options.score);
    std::vector<float> biased;
    for (std::int64_t e = 0; e < experts; ++e)
      biased.push_back(static_cast<float>(scores[idx(e)]) + (args.bias ? args.bias.as<const float>()[e] : 0.0f));
    std::vector<std::int64_t> order;
    if (!args.given) order = ranked(biased, args.options);
    double total = 1e-20;
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t e = args.given ? args.given.as<const std::int32_t>()[t * count + j] : order[idx(j)];
      args.ids.as<std::int32_t>()[t * count + j] = static_cast<std::int32_t>(e);
      total += scores[idx(e)];
    }
    if (!args.options.normalize) total = 1;
    for (std::int64_t j = 0; j < count; ++j)
      put<float>(args.weights, t * count + j,
                 scores[idx(args.ids.as<const std::int32_t>()[t * count + j])] / total * double{args.options.scaling});
    if (args.scores)
      for (std::int64_t e = 0; e < experts; ++e) put<float>(args.scores, t * experts + e, scores[idx(e)]);
  }
}

void route_backward(const RouteBackwardArgs& args) {
  const std::int64_t experts = args.logits.shape[1], count = args.ids.shape[1];
  for (std::int64_t t = 0; t < args.logits.shape[0]; ++t) {
    const std::vector<double> scores = scores_of(args.logits, t, args.options.score);
    const std::int32_t* ids = args.ids.as<const std::int32_t>() + t * count;
    std::vector<double> g = zeros(experts);
    double total = 1e-20, dot = 0;
    for (std::int64_t j = 0; j < count; ++j) total += scores[idx(ids[j])];
    for (std::int64_t j = 0; j < count; ++j) dot += at<float>(args.grad_weights, t * count + j) * scores[idx(ids[j])];
    for (std::int64_t j = 0; j < count; ++j) {
      const double w = at<float>(args.grad_weights, t * count + j);
      g[idx(ids[j])] += double{args.options.scaling} * (args.options.normalize ? w / total - dot / (total * total) : w);
    }
    if (args.grad_scores)
      for (std::int64_t e = 0; e < experts; ++e) g[idx(e)] += at<float>(args.grad_scores, t * experts + e);
    double mean = 0;
    for (std::int64_t e = 0; e < experts; ++e) mean += scores[idx(e)] * g[idx(e)];
    for (std::int64_t e = 0; e < experts; ++e) {
      const double x = at<float>(args.logits, t * experts + e), s = scores[idx(e)];
      const double slope = args.options.score == RouterScore::sqrt_softplus ? (s > 0 ? sigmoid(x) / (2 * s) : 0)
                           : args.options.score == RouterScore::sigmoid     ? s * (1 - s)
                                                                            : s;
      const double shift = args.options.score == RouterScore::softmax ? mean : 0;
      put<float>(args.grad_logits, t * experts + e, slope * (g[idx(e)] - shift));
    }
  }
}

// A stable counting sort.
void plan(const MoePlanArgs& args) {
  const std::int32_t* ids = args.ids.as<const std::int32_t>();
  std::int32_t* offsets = args.offsets.as<std::int32_t>();
  const std::int64_t experts = args.offsets.shape[0] - 1;
  const auto slots = static_cast<std::int32_t>(args.ids.numel());
  std::fill(offsets, offsets + experts + 1, 0);
  for (std::int32_t i = 0; i < slots; ++i) ++offsets[ids[i] + 1];
  std::partial_sum(offsets, offsets + experts + 1, offsets);
  std::vector<std::int32_t> next(offsets, offsets + experts);
  for (std::int32_t i = 0; i < slots; ++i) {
    const std::int32_t row = next[idx(ids[i])]++;
    args.order.as<std::int32_t>()[row] = i;
    args.inverse.as<std::int32_t>()[i] = row;
  }
}

template <class T>
void gather(const MoeGatherArgs& args) {
  const std::int64_t d = args.x.shape[1], rows = args.y.shape[0];
  const std::int64_t count = args.x.shape[0] == 0 ? 1 : rows / args.x.shape[0];
  for (std::int64_t i = 0; i < rows; ++i) {
    const T* from = args.x.as<const T>() + args.order.as<const std::int32_t>()[i] / count * d;
    std::copy(from, from + d, args.y.as<T>() + i * d);
  }
}

template <class T>
void combine(const MoeCombineArgs& args) {
  const std::int64_t tokens = args.out.shape[0], d = args.out.shape[1];
  const std::int64_t count = tokens == 0 ? 0 : args.inverse.numel() / tokens;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t i = 0; i < d; ++i) {
      double sum = 0;
      for (std::int64_t j = t * count; j < (t + 1) * count; ++j)
        sum += (args.weights ? at<float>(args.weights, j) : 1.0) *
               at<T>(args.y, args.inverse.as<const std::int32_t>()[j] * d + i);
      put<T>(args.out, t * d + i, sum);
    }
}

template <class T>
void combine_backward(const MoeCombineBackwardArgs& args) {
  const std::int64_t tokens = args.grad_out.shape[0], d = args.grad_out.shape[1];
  const std::int64_t count = tokens == 0 ? 0 : args.inverse.numel() / tokens;
  for (std::int64_t j = 0; j < tokens * count; ++j) {
    const std::int64_t t = j / count, row = args.inverse.as<const std::int32_t>()[j];
    double dot = 0;
    for (std::int64_t i = 0; i < d; ++i) {
      const double g = at<T>(args.grad_out, t * d + i);
      dot += g * at<T>(args.y, row * d + i);
      put<T>(args.grad_y, row * d + i, (args.weights ? at<float>(args.weights, j) : 1.0) * g);
    }
    if (args.grad_weights) put<float>(args.grad_weights, j, dot);
  }
}

struct Clamped {
  double gate, up;
  bool gate_free, up_free;  // false: held by the clamp
};

template <class T>
Clamped clamped(const TensorView& gate, const TensorView& up, std::int64_t row, std::int64_t i, double limit) {
  const double g = at<T>(gate, row * gate.strides[0] + i), u = at<T>(up, row * up.strides[0] + i);
  if (limit <= 0) return {g, u, true, true};
  return {std::min(g, limit), std::clamp(u, -limit, limit), g <= limit, u >= -limit && u <= limit};
}

template <class T>
void swiglu(const SwigluArgs& args) {
  for (std::int64_t row = 0; row < args.gate.shape[0]; ++row)
    for (std::int64_t i = 0; i < args.gate.shape[1]; ++i) {
      const Clamped c = clamped<T>(args.gate, args.up, row, i, args.limit);
      put<T>(args.out, row * args.out.strides[0] + i, c.gate * sigmoid(c.gate) * c.up);
    }
}

template <class T>
void swiglu_backward(const SwigluBackwardArgs& args) {
  for (std::int64_t row = 0; row < args.gate.shape[0]; ++row)
    for (std::int64_t i = 0; i < args.gate.shape[1]; ++i) {
      const Clamped c = clamped<T>(args.gate, args.up, row, i, args.limit);
      const double g = at<T>(args.grad_out, row * args.grad_out.strides[0] + i), s = sigmoid(c.gate);
      put<T>(args.grad_gate, row * args.grad_gate.strides[0] + i,
             c.gate_free ? g * c.up * s * (1 + c.gate * (1 - s)) : 0);
      put<T>(args.grad_up, row * args.grad_up.strides[0] + i, c.up_free ? g * c.gate * s : 0);
    }
}

}  // namespace

void add_moe_reference_kernels() {
  add_kernel<RouteArgs>(Device::cpu, "reference", route);
  add_kernel<RouteBackwardArgs>(Device::cpu, "reference", route_backward);
  add_kernel<MoePlanArgs>(Device::cpu, "reference", plan);
  add_kernel<MoeGatherArgs>(Device::cpu, "reference", [](const MoeGatherArgs& args) {
    with_float_type(args.x.dtype, [&]<class T>() { gather<T>(args); });
  });
  add_kernel<MoeCombineArgs>(Device::cpu, "reference", [](const MoeCombineArgs& args) {
    with_float_type(args.y.dtype, [&]<class T>() { combine<T>(args); });
  });
  add_kernel<MoeCombineBackwardArgs>(Device::cpu, "reference", [](const MoeCombineBackwardArgs& args) {
    with_float_type(args.y.dtype, [&]<class T>() { combine_backward<T>(args); });
  });
  add_kernel<SwigluArgs>(Device::cpu, "reference", [](const SwigluArgs& args) {
    with_float_type(args.gate.dtype, [&]<class T>() { swiglu<T>(args); });
  });
  add_kernel<SwigluBackwardArgs>(Device::cpu, "reference", [](const SwigluBackwardArgs& args) {
    with_float_type(args.gate.dtype, [&]<class T>() { swiglu_backward<T>(args); });
  });
}

}  // namespace orrery
