#include "core/ops/layer_norm.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "kernels/api/layer_norm.h"

namespace orrery::ops {

namespace {

void check_vector(const char* op, const char* name, const Tensor& vector, std::int64_t size) {
  ORRERY_CHECK(!vector.defined() || (vector.dtype() == DType::f32 && vector.shape() == Shape{size}), "[", op, "] ",
               name, " is ", describe(vector), ", expected f32 [", size, "]");
}

Tensor dense_or_none(const Tensor& x) { return x.defined() ? dense(x) : x; }

// Records a norm whose input was seen under `inner` shape. `mean` and `inverse` are what the forward pass kept.
template <class BackwardArgs>
void record_norm(const char* name, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y,
                 const Tensor& rows, const Tensor& mean, const Tensor& inverse) {
  record(name, {x, weight, bias}, {y},
         [rows, mean, inverse, weight = dense_or_none(weight), shape = x.shape(), channels = x.dim(-1),
          wants_weight = weight.requires_grad(), wants_bias = bias.requires_grad()](const std::vector<Tensor>& grads) {
           const Tensor grad_y = dense_as(grads[0], rows.dtype()).reshaped(rows.shape());
           const Tensor grad_x = Tensor::empty_like(rows);
           const Tensor grad_weight = wants_weight ? Tensor::empty({channels}, DType::f32, rows.device()) : Tensor();
           const Tensor grad_bias = wants_bias ? Tensor::empty({channels}, DType::f32, rows.device()) : Tensor();
           run(BackwardArgs{rows.view(), weight.view(), mean.view(), inverse.view(), grad_y.view(), grad_x.view(),
                            grad_weight.view(), grad_bias.view()});
           return std::vector<Tensor>{grad_x.reshaped(shape), grad_weight, grad_bias};
         });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  check_floating("layer_norm", "x", x);
  ORRERY_CHECK(x.rank() >= 1 && x.dim(-1) > 0, "[layer_norm] x is ", describe(x), ", expected [..., d]");
  check_vector("layer_norm", "weight", weight, x.dim(-1));
  check_vector("layer_norm", "bias", bias, x.dim(-1));
  const Tensor rows = dense(x).reshaped({-1, x.dim(-1)});
  const Tensor flat = Tensor::empty_like(rows), mean = Tensor::empty({rows.dim(0)}, DType::f32, x.device()),
               inverse = Tensor::empty_like(mean);
  run(LayerNormArgs{rows.view(), dense_or_none(weight).view(), dense_or_none(bias).view(), flat.view(), mean.view(),
                    inverse.view(), eps});
  const Tensor y = flat.reshaped(x.shape());
  if (needs_tape({&x, &weight, &bias}))
    record_norm<LayerNormBackwardArgs>("layer_norm", x, weight, bias, y, rows, mean, inverse);
  return y;
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, float eps) {
  check_floating("group_norm", "x", x);
  ORRERY_CHECK(x.rank() >= 2 && groups >= 1 && x.dim(-1) > 0 && x.dim(-1) % groups == 0, "[group_norm] x is ",
               describe(x), ", groups ", groups,
               ", expected [batch, ..., channels] with channels a multiple of the groups");
  check_vector("group_norm", "weight", weight, x.dim(-1));
  check_vector("group_norm", "bias", bias, x.dim(-1));
  const std::int64_t batch = x.dim(0), channels = x.dim(-1);
  const Tensor rows = dense(x).reshaped({batch, batch == 0 ? 0 : x.numel() / (batch * channels), channels});
  const Tensor flat = Tensor::empty_like(rows), mean = Tensor::empty({batch, groups}, DType::f32, x.device()),
               inverse = Tensor::empty_like(mean);
  run(GroupNormArgs{rows.view(), dense_or_none(weight).view(), dense_or_none(bias).view(), flat.view(), mean.view(),
                    inverse.view(), eps});
  const Tensor y = flat.reshaped(x.shape());
  if (needs_tape({&x, &weight, &bias}))
    record_norm<GroupNormBackwardArgs>("group_norm", x, weight, bias, y, rows, mean, inverse);
  return y;
}

}  // namespace orrery::ops
