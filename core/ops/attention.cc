#include "core/ops/attention.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/checks.h"
#include "kernels/api/attention.h"
#include "kernels/api/compress.h"
#include "kernels/api/rope.h"

namespace orrery::ops {

namespace {

SparseAttentionShape shape_of(const char* op, const SparseAttentionOptions& options) {
  ORRERY_CHECK(options.window >= 1 && options.rate >= 1, "[", op, "] window is ", options.window, " and rate ",
               options.rate, ", expected at least 1");
  constexpr std::int64_t kMost = std::int64_t{1} << 40;  // so that sums of them cannot overflow
  for (const std::int64_t value :
       {options.window, options.rate, options.query_start, options.kv_start, options.entry_start})
    ORRERY_CHECK(value >= -kMost && value <= kMost, "[", op, "] ", value,
                 " among window, rate and starts, expected at most 2^40 in size");
  return {options.window, options.rate, options.query_start, options.kv_start, options.entry_start, options.scale};
}

void check_entries(const char* op, const Tensor& q, const Tensor& entries, const Tensor& indices) {
  check_float(op, "q", q, 4, "[B, S, H, D]");
  if (entries.defined()) {
    const std::int64_t count = entries.rank() == 3 ? entries.dim(1) : -1;
    check_is(op, "entries", entries, q.dtype(), {q.dim(0), count, q.dim(3)});
  }
  ORRERY_CHECK(!indices.defined() || entries.defined(), "[", op, "] indices without entries");
  if (indices.defined()) {
    const std::int64_t count = indices.rank() == 3 ? indices.dim(2) : -1;
    check_is(op, "indices", indices, DType::i32, {q.dim(0), q.dim(1), count});
  }
}

}  // namespace

AttentionResult sparse_attention(const Tensor& q, const Tensor& kv, const Tensor& entries, const Tensor& indices,
                                 const Tensor& sinks, const SparseAttentionOptions& options) {
  const char* op = SparseAttentionArgs::kOp;
  const SparseAttentionShape shape = shape_of(op, options);
  check_entries(op, q, entries, indices);
  check_is(op, "kv", kv, q.dtype(), {q.dim(0), kv.defined() && kv.rank() == 3 ? kv.dim(1) : -1, q.dim(3)});
  if (sinks.defined()) check_is(op, "sinks", sinks, DType::f32, {q.dim(2)});
  const Tensor in_q = packed(q), in_kv = packed(kv), in_entries = packed(entries), in_indices = packed(indices),
               in_sinks = packed(sinks);
  const Tensor out = Tensor::empty_like(in_q);
  const Tensor lse = Tensor::empty({q.dim(0), q.dim(1), q.dim(2)}, DType::f32, q.device());
  run(SparseAttentionArgs{in_q.view(), in_kv.view(), in_entries.view(), in_indices.view(), in_sinks.view(), out.view(),
                          lse.view(), shape});
  record(op, {q, kv, entries, sinks}, {out}, [=, saved = out.detach()](const std::vector<Tensor>& grads) {
    const Tensor grad_out = packed(grads[0]);
    const auto like = [](const Tensor& x) { return x.defined() ? Tensor::empty_like(x) : Tensor(); };
    const Tensor grad_q = like(in_q), grad_kv = like(in_kv), grad_entries = like(in_entries),
                 grad_sinks = like(in_sinks);
    run(SparseAttentionBackwardArgs{in_q.view(), in_kv.view(), in_entries.view(), in_indices.view(), in_sinks.view(),
                                    saved.view(), lse.view(), grad_out.view(), grad_q.view(), grad_kv.view(),
                                    grad_entries.view(), grad_sinks.view(), shape});
    return std::vector<Tensor>{grad_q, grad_kv, grad_entries, grad_sinks};
  });
  return {out, lse};
}

Tensor entry_mass(const Tensor& q, const Tensor& entries, const Tensor& indices, const Tensor& lse,
                  const SparseAttentionOptions& options) {
  const char* op = EntryMassArgs::kOp;
  const SparseAttentionShape shape = shape_of(op, options);
  ORRERY_CHECK(entries.defined(), "[", op, "] entries is undefined");
  check_entries(op, q, entries, indices);
  check_is(op, "lse", lse, DType::f32, {q.dim(0), q.dim(1), q.dim(2)});
  const Tensor in_q = packed(q), in_entries = packed(entries), in_indices = packed(indices), in_lse = packed(lse);
  const Tensor mass =
      Tensor::empty({q.dim(0), q.dim(1), indices.defined() ? indices.dim(2) : entries.dim(1)}, DType::f32, q.device());
  run(EntryMassArgs{in_q.view(), in_entries.view(), in_indices.view(), in_lse.view(), mass.view(), shape});
  return mass;
}

Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin, bool inverse) {
  const char* op = RopeArgs::kOp;
  check_float(op, "x", x, 4, "[B, S, H, D]");
  const std::int64_t pairs = cos.defined() && cos.rank() == 2 ? cos.dim(1) : -1;
  check_is(op, "cos", cos, DType::f32, {x.dim(1), pairs});
  check_is(op, "sin", sin, DType::f32, {x.dim(1), pairs});
  ORRERY_CHECK(2 * pairs <= x.dim(3), "[", op, "] tables turn ", 2 * pairs, " dims, x has ", x.dim(3));
  const Tensor in_x = packed(x), in_cos = packed(cos), in_sin = packed(sin);
  const Tensor y = Tensor::empty_like(in_x);
  run(RopeArgs{in_x.view(), in_cos.view(), in_sin.view(), y.view(), inverse});
  record(op, {x}, {y}, [in_cos, in_sin, inverse](const std::vector<Tensor>& grads) {
    const Tensor grad_y = packed(grads[0]);
    const Tensor grad_x = Tensor::empty_like(grad_y);
    run(RopeArgs{grad_y.view(), in_cos.view(), in_sin.view(), grad_x.view(), !inverse});
    return std::vector<Tensor>{grad_x};
  });
  return y;
}

Tensor compress_pool(const Tensor& kv, const Tensor& gate, const Tensor& bias, const CompressOptions& options,
                     const Tensor& prior_kv, const Tensor& prior_gate) {
  const char* op = CompressPoolArgs::kOp;
  ORRERY_CHECK(options.rate >= 1, "[", op, "] rate is ", options.rate, ", expected at least 1");
  check_float(op, "kv", kv, 3, "[B, S, C]");
  check_is(op, "gate", gate, kv.dtype(), kv.shape());
  const std::int64_t width = kv.dim(2);
  check_is(op, "bias", bias, DType::f32, {options.rate, width});
  ORRERY_CHECK(!options.overlap || width % 2 == 0, "[", op, "] kv has ", width, " channels, expected 2c with overlap");
  ORRERY_CHECK(prior_kv.defined() == prior_gate.defined() && (options.overlap || !prior_kv.defined()), "[", op,
               "] prior_kv and prior_gate belong together, and to overlap");
  if (prior_kv.defined()) {
    check_is(op, "prior_kv", prior_kv, kv.dtype(), {kv.dim(0), options.rate, width});
    check_is(op, "prior_gate", prior_gate, kv.dtype(), {kv.dim(0), options.rate, width});
    ORRERY_CHECK(!needs_tape({&kv, &gate, &bias}), "[", op, "] has no gradient with prior_kv: call it under NoGrad");
  }
  const Tensor in_kv = packed(kv), in_gate = packed(gate), in_bias = packed(bias), in_prior_kv = packed(prior_kv),
               in_prior_gate = packed(prior_gate);
  const Tensor out = Tensor::empty({kv.dim(0), kv.dim(1) / options.rate, options.overlap ? width / 2 : width},
                                   kv.dtype(), kv.device());
  run(CompressPoolArgs{in_kv.view(), in_gate.view(), in_bias.view(), in_prior_kv.view(), in_prior_gate.view(),
                       out.view(), options.rate, options.overlap});
  record(op, {kv, gate, bias}, {out}, [=, saved = out.detach()](const std::vector<Tensor>& grads) {
    const Tensor grad_out = packed(grads[0]);
    const Tensor grad_kv = Tensor::empty_like(in_kv), grad_gate = Tensor::empty_like(in_gate),
                 grad_bias = Tensor::empty_like(in_bias);
    run(CompressPoolBackwardArgs{in_kv.view(), in_gate.view(), in_bias.view(), saved.view(), grad_out.view(),
                                 grad_kv.view(), grad_gate.view(), grad_bias.view(), options.rate, options.overlap});
    return std::vector<Tensor>{grad_kv, grad_gate, grad_bias};
  });
  return out;
}

}  // namespace orrery::ops
