// The lightning indexer's operations, declared in core/ops/attention.h.
#include "kernels/api/indexer.h"

#include "core/autograd/autograd.h"
#include "core/ops/attention.h"
#include "core/ops/backends.h"
#include "core/ops/checks.h"

namespace orrery::ops {

namespace {

void check_inputs(const char* op, const Tensor& q, const Tensor& k, const Tensor& w, const IndexOptions& options) {
  ORRERY_CHECK(options.rate >= 1, "[", op, "] rate is ", options.rate, ", expected at least 1");
  check_float(op, "q", q, 4, "[B, S, Hi, Di]");
  check_is(op, "k", k, q.dtype(), {q.dim(0), k.defined() && k.rank() == 3 ? k.dim(1) : -1, q.dim(3)});
  check_is(op, "w", w, DType::f32, {q.dim(0), q.dim(1), q.dim(2)});
}

}  // namespace

Tensor index_top_k(const Tensor& q, const Tensor& k, const Tensor& w, std::int64_t count, const IndexOptions& options) {
  const char* op = IndexTopKArgs::kOp;
  check_inputs(op, q, k, w, options);
  ORRERY_CHECK(count >= 1, "[", op, "] count is ", count, ", expected at least 1");
  const Tensor in_q = packed(q), in_k = packed(k), in_w = packed(w);
  const Tensor indices = Tensor::empty({q.dim(0), q.dim(1), count}, DType::i32, q.device());
  run(IndexTopKArgs{in_q.view(), in_k.view(), in_w.view(), indices.view(), options.rate, options.query_start});
  return indices;
}

Tensor index_scores(const Tensor& q, const Tensor& k, const Tensor& w, const Tensor& indices,
                    const IndexOptions& options) {
  const char* op = IndexScoresArgs::kOp;
  check_inputs(op, q, k, w, options);
  if (indices.defined())
    check_is(op, "indices", indices, DType::i32, {q.dim(0), q.dim(1), indices.rank() == 3 ? indices.dim(2) : -1});
  const Tensor in_q = packed(q), in_k = packed(k), in_w = packed(w), in_indices = packed(indices);
  const Tensor scores =
      Tensor::empty({q.dim(0), q.dim(1), indices.defined() ? indices.dim(2) : k.dim(1)}, DType::f32, q.device());
  run(IndexScoresArgs{in_q.view(), in_k.view(), in_w.view(), in_indices.view(), scores.view(), options.rate,
                      options.query_start});
  record(op, {q, k, w}, {scores}, [=](const std::vector<Tensor>& grads) {
    const Tensor grad_scores = packed(grads[0]);
    const Tensor grad_q = Tensor::empty_like(in_q), grad_k = Tensor::empty_like(in_k),
                 grad_w = Tensor::empty_like(in_w);
    run(IndexScoresBackwardArgs{in_q.view(), in_k.view(), in_w.view(), in_indices.view(), grad_scores.view(),
                                grad_q.view(), grad_k.view(), grad_w.view(), options.rate, options.query_start});
    return std::vector<Tensor>{grad_q, grad_k, grad_w};
  });
  return scores;
}

Tensor index_kl(const Tensor& scores, const Tensor& mass) {
  const char* op = IndexKlArgs::kOp;
  ORRERY_CHECK(scores.defined() && scores.dtype() == DType::f32 && scores.rank() >= 1, "[", op, "] scores is ",
               described(scores), ", expected f32 [..., K]");
  check_is(op, "mass", mass, DType::f32, scores.shape());
  const std::int64_t count = scores.dim(-1), rows = count == 0 ? 0 : scores.numel() / count;
  const Tensor in_scores = packed(scores).reshaped({rows, count}), in_mass = packed(mass).reshaped({rows, count});
  const Shape shape(scores.shape().begin(), scores.shape().end() - 1);
  const Device device = scores.device();
  const Tensor loss = count == 0 ? Tensor::zeros(shape, DType::f32, device) : Tensor::empty(shape, DType::f32, device);
  run(IndexKlArgs{in_scores.view(), in_mass.view(), loss.view()});
  record(op, {scores}, {loss}, [=, full = scores.shape()](const std::vector<Tensor>& grads) {
    const Tensor grad_loss = packed(grads[0]);
    const Tensor grad_scores = Tensor::empty({rows, count}, DType::f32, in_scores.device());
    run(IndexKlBackwardArgs{in_scores.view(), in_mass.view(), grad_loss.view(), grad_scores.view()});
    return std::vector<Tensor>{grad_scores.reshaped(full)};
  });
  return loss;
}

}  // namespace orrery::ops
