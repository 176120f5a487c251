#include "core/ops/dense_attention.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "kernels/api/dense_attention.h"

namespace orrery::ops {

namespace {

// Rows of a head contiguous and apart, as the kernels want them.
Tensor head_rows(const Tensor& x) { return x.strides()[3] == 1 && x.strides()[1] >= x.dim(3) ? x.detach() : dense(x); }

}  // namespace

Tensor dense_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DenseAttentionOptions& options,
                       const Tensor& mask) {
  check_floating("dense_attention", "q", q);
  const auto shaped = [&](const Tensor& x) {
    return x.defined() && x.rank() == 4 && x.dtype() == q.dtype() && x.dim(0) == q.dim(0);
  };
  ORRERY_CHECK(shaped(q) && shaped(k) && shaped(v) && k.dim(3) == q.dim(3) && k.dim(1) == v.dim(1) &&
                   k.dim(2) == v.dim(2) && k.dim(2) > 0 && q.dim(2) % k.dim(2) == 0,
               "[dense_attention] q is ", describe(q), ", k is ", describe(k), ", v is ", describe(v),
               ", expected [B, T, H, D], [B, S, Hk, D], [B, S, Hk, Dv] of one dtype with H a multiple of Hk");
  ORRERY_CHECK(!mask.defined() || (mask.dtype() == DType::f32 && mask.shape() == Shape{q.dim(1), k.dim(1)}),
               "[dense_attention] mask is ", describe(mask), ", expected f32 [", q.dim(1), ", ", k.dim(1), "]");
  const float scale = options.scale == 0.0f ? 1.0f / std::sqrt(static_cast<float>(q.dim(3))) : options.scale;
  const Tensor queries = head_rows(q), keys = head_rows(k), values = head_rows(v),
               bias = mask.defined() ? dense(mask) : mask;
  const Tensor out = Tensor::empty({q.dim(0), q.dim(1), q.dim(2), v.dim(3)}, q.dtype(), q.device());
  const Tensor lse = Tensor::empty({q.dim(0), q.dim(1), q.dim(2)}, DType::f32, q.device());
  const bool causal = options.causal;
  run(DenseAttentionArgs{queries.view(), keys.view(), values.view(), bias.view(), out.view(), lse.view(), scale,
                         causal});
  if (!needs_tape({&q, &k, &v})) return out;
  record(
      "dense_attention", {q, k, v}, {out},
      [queries, keys, values, bias, lse, scale, causal, out = out.detach()](const std::vector<Tensor>& grads) {
        const auto like = [](const Tensor& x) { return Tensor::empty(x.shape(), x.dtype(), x.device()); };
        const Tensor grad = dense_as(grads[0], queries.dtype());
        const Tensor grad_q = like(queries), grad_k = like(keys), grad_v = like(values);
        run(DenseAttentionBackwardArgs{queries.view(), keys.view(), values.view(), bias.view(), out.view(), lse.view(),
                                       grad.view(), grad_q.view(), grad_k.view(), grad_v.view(), scale, causal});
        return std::vector<Tensor>{grad_q, grad_k, grad_v};
      });
  return out;
}

}  // namespace orrery::ops
