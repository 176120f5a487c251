#include "core/ops/norm.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "kernels/api/norm.h"

namespace orrery::ops {

Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  check_floating("rms_norm", "x", x);
  ORRERY_CHECK(x.rank() >= 1, "[rms_norm] x is ", describe(x), ", expected f32 or bf16 [..., d]");
  ORRERY_CHECK(!weight.defined() || (weight.dtype() == DType::f32 && weight.shape() == Shape{x.dim(-1)}),
               "[rms_norm] weight is ", name_of(weight.dtype()), " ", to_string(weight.shape()), ", expected f32 [",
               x.dim(-1), "]");
  const Tensor input = x.contiguous() ? x.detach() : x.clone();
  const std::int64_t rows = x.dim(-1) == 0 ? 0 : x.numel() / x.dim(-1);
  const Tensor y = Tensor::empty_like(x);
  const Tensor inverse = Tensor::empty({rows}, DType::f32, x.device());
  run(RmsNormArgs{input.view(), weight.view(), y.view(), inverse.view(), eps});
  record("rms_norm", {x, weight}, {y},
         [input, weight = weight.defined() ? weight.detach() : weight, inverse,
          wants_weight = weight.requires_grad()](const std::vector<Tensor>& grads) {
           const Tensor grad_y = grads[0].contiguous() ? grads[0] : grads[0].clone();
           const Tensor grad_x = Tensor::empty_like(input);
           const Tensor grad_weight = wants_weight ? Tensor::empty_like(weight) : Tensor();
           run(RmsNormBackwardArgs{input.view(), weight.view(), inverse.view(), grad_y.view(), grad_x.view(),
                                   grad_weight.view()});
           return std::vector<Tensor>{grad_x, grad_weight};
         });
  return y;
}

}  // namespace orrery::ops
