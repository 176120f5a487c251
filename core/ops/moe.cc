#include "core/ops/moe.h"

#include <limits>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/checks.h"

namespace orrery::ops {

namespace {

void check_options(std::int64_t experts, std::int64_t count, bool given, const RouteOptions& options) {
  ORRERY_CHECK(count >= 1 && count <= experts, "[route] top ", count, " of ", experts, " experts");
  ORRERY_CHECK(options.groups >= 1 && experts % options.groups == 0, "[route] ", experts,
               " experts do not divide into ", options.groups, " groups");
  if (options.groups == 1 || given) return;
  ORRERY_CHECK(options.kept_groups >= 1 && options.kept_groups <= options.groups, "[route] keeps ", options.kept_groups,
               " of ", options.groups, " groups");
  ORRERY_CHECK(count <= options.kept_groups * (experts / options.groups), "[route] top ", count, " of ",
               options.kept_groups * (experts / options.groups), " experts in the kept groups");
}

void check_ids(const char* op, const Tensor& ids, std::int64_t experts) {
  if (ids.device() != Device::cpu) return;  // there they come from route's own kernel
  for (const std::int32_t id : ids.span<std::int32_t>())
    ORRERY_CHECK(id >= 0 && id < experts, "[", op, "] expert id ", id, ", expected 0 to ", experts - 1);
}

// Halves of the last dimension of [rows, 2·I], as strided rows.
Tensor half(const Tensor& x, std::int64_t which) {
  const std::int64_t width = x.dim(1) / 2;
  return x.alias({x.dim(0), width}, {x.dim(1), 1}, which * width);
}

void check_swiglu(const Tensor& gate, const Tensor& up) {
  ORRERY_CHECK(gate.defined() && is_float(gate) && gate.rank() >= 1, "[swiglu] gate is ", described(gate),
               ", expected f32 or bf16 [..., I]");
  check_is("swiglu", "up", up, gate.dtype(), gate.shape());
}

std::int64_t row_count(const Tensor& x) { return x.dim(-1) == 0 ? 0 : x.numel() / x.dim(-1); }

}  // namespace

Routing route(const Tensor& logits, const Tensor& bias, const Tensor& given, std::int64_t count,
              const RouteOptions& options) {
  ORRERY_CHECK(logits.defined() && logits.dtype() == DType::f32 && logits.rank() == 2, "[route] logits is ",
               described(logits), ", expected f32 [T, E]");
  const std::int64_t tokens = logits.dim(0), experts = logits.dim(1);
  check_options(experts, count, given.defined(), options);
  if (bias.defined()) check_is("route", "bias", bias, DType::f32, {experts});
  const Tensor in_logits = packed(logits), in_bias = packed(bias);
  Tensor in_given = packed(given);
  if (given.defined()) {
    check_is("route", "given", given, DType::i32, {tokens, count});
    check_ids("route", in_given, experts);
    in_given = in_given.to(logits.device());
  }
  const Device device = logits.device();
  const Tensor ids = Tensor::empty({tokens, count}, DType::i32, device),
               weights = Tensor::empty({tokens, count}, DType::f32, device),
               scores = Tensor::empty({tokens, experts}, DType::f32, device);
  run(RouteArgs{in_logits.view(), in_bias.view(), in_given.view(), ids.view(), weights.view(), scores.view(), options});
  record("route", {logits}, {weights, scores}, [=](const std::vector<Tensor>& grads) {
    const Tensor grad_weights = packed_or_zeros(grads[0], {tokens, count}, DType::f32, in_logits.device()),
                 grad_scores = packed(grads[1]), grad_logits = Tensor::empty_like(in_logits);
    run(RouteBackwardArgs{in_logits.view(), ids.view(), grad_weights.view(), grad_scores.view(), grad_logits.view(),
                          options});
    return std::vector<Tensor>{grad_logits};
  });
  return {ids, weights, scores};
}

MoePlan moe_plan(const Tensor& ids, std::int64_t experts) {
  ORRERY_CHECK(ids.defined() && ids.dtype() == DType::i32 && ids.rank() == 2, "[moe_plan] ids is ", described(ids),
               ", expected i32 [T, K]");
  ORRERY_CHECK(ids.numel() <= std::numeric_limits<std::int32_t>::max(), "[moe_plan] ", ids.numel(),
               " slots, expected at most 2^31 - 1");
  const Tensor in_ids = packed(ids);
  check_ids("moe_plan", in_ids, experts);
  const auto whole = [&](std::int64_t count) { return Tensor::empty({count}, DType::i32, ids.device()); };
  MoePlan plan{whole(ids.numel()), whole(ids.numel()), whole(experts + 1)};
  run(MoePlanArgs{in_ids.view(), plan.order.view(), plan.inverse.view(), plan.offsets.view()});
  return plan;
}

Tensor moe_gather(const Tensor& x, const MoePlan& plan) {
  check_float("moe_gather", "x", x, 2, "[T, d]");
  const std::int64_t tokens = x.dim(0), rows = plan.order.numel();
  ORRERY_CHECK(tokens == 0 ? rows == 0 : rows % tokens == 0, "[moe_gather] x has ", tokens, " rows, the plan ", rows,
               " slots");
  const Tensor in_x = packed(x);
  const Tensor y = Tensor::empty({rows, x.dim(1)}, x.dtype(), x.device());
  run(MoeGatherArgs{in_x.view(), plan.order.view(), y.view()});
  record("moe_gather", {x}, {y},
         [inverse = plan.inverse, shape = x.shape(), dtype = x.dtype()](const std::vector<Tensor>& grads) {
           const Tensor grad_y = packed(grads[0]), grad_x = Tensor::empty(shape, dtype, grad_y.device());
           run(MoeCombineArgs{grad_y.view(), inverse.view(), {}, grad_x.view()});
           return std::vector<Tensor>{grad_x};
         });
  return y;
}

Tensor moe_combine(const Tensor& y, const Tensor& weights, const MoePlan& plan) {
  check_float("moe_combine", "y", y, 2, "[T·K, d]");
  ORRERY_CHECK(weights.defined() && weights.dtype() == DType::f32 && weights.rank() == 2 &&
                   weights.numel() == y.dim(0) && plan.inverse.numel() == y.dim(0),
               "[moe_combine] weights is ", described(weights), " for y ", described(y), " and a plan of ",
               plan.inverse.numel(), " slots, expected f32 [T, K] with T·K of each");
  const Tensor in_y = packed(y), in_weights = packed(weights);
  const Tensor out = Tensor::empty({weights.dim(0), y.dim(1)}, y.dtype(), y.device());
  run(MoeCombineArgs{in_y.view(), plan.inverse.view(), in_weights.view(), out.view()});
  record("moe_combine", {y, weights}, {out},
         [in_y, in_weights, inverse = plan.inverse](const std::vector<Tensor>& grads) {
           const Tensor grad_out = packed(grads[0]), grad_y = Tensor::empty_like(in_y),
                        grad_weights = Tensor::empty_like(in_weights);
           run(MoeCombineBackwardArgs{in_y.view(), inverse.view(), in_weights.view(), grad_out.view(), grad_y.view(),
                                      grad_weights.view()});
           return std::vector<Tensor>{grad_y, grad_weights};
         });
  return out;
}

Tensor swiglu(const Tensor& gate, const Tensor& up, float limit) {
  check_swiglu(gate, up);
  const Shape flat{row_count(gate), gate.dim(-1)};
  const Tensor in_gate = packed(gate).reshaped(flat), in_up = packed(up).reshaped(flat);
  const Tensor out = Tensor::empty_like(gate);
  run(SwigluArgs{in_gate.view(), in_up.view(), out.detach().reshaped(flat).view(), limit});
  record("swiglu", {gate, up}, {out}, [=, shape = gate.shape()](const std::vector<Tensor>& grads) {
    const Tensor grad_out = packed(grads[0]).reshaped(flat), grad_gate = Tensor::empty_like(in_gate),
                 grad_up = Tensor::empty_like(in_up);
    run(SwigluBackwardArgs{in_gate.view(), in_up.view(), grad_out.view(), grad_gate.view(), grad_up.view(), limit});
    return std::vector<Tensor>{grad_gate.reshaped(shape), grad_up.reshaped(shape)};
  });
  return out;
}

Tensor swiglu(const Tensor& gate_up, float limit) {
  ORRERY_CHECK(gate_up.defined() && is_float(gate_up) && gate_up.rank() >= 1 && gate_up.dim(-1) % 2 == 0,
               "[swiglu] gate_up is ", described(gate_up), ", expected f32 or bf16 [..., 2·I]");
  const Tensor in = packed(gate_up).reshaped({row_count(gate_up), gate_up.dim(-1)});
  Shape shape = gate_up.shape();
  shape.back() /= 2;
  const Tensor out = Tensor::empty(shape, gate_up.dtype(), gate_up.device());
  const Shape flat{in.dim(0), shape.back()};
  run(SwigluArgs{half(in, 0).view(), half(in, 1).view(), out.detach().reshaped(flat).view(), limit});
  record("swiglu", {gate_up}, {out}, [=, full = gate_up.shape()](const std::vector<Tensor>& grads) {
    const Tensor grad_out = packed(grads[0]).reshaped(flat), grad = Tensor::empty_like(in);
    run(SwigluBackwardArgs{half(in, 0).view(), half(in, 1).view(), grad_out.view(), half(grad, 0).view(),
                           half(grad, 1).view(), limit});
    return std::vector<Tensor>{grad.reshaped(full)};
  });
  return out;
}

}  // namespace orrery::ops
