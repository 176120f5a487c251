#include "video/latent/unfold.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "kernels/api/codec.h"

namespace orrery {

Tensor unfold3x3(const Tensor& x) {
  const Tensor input = x.contiguous() ? x.detach() : x.clone();
  const Shape shape = input.shape();
  const Tensor out = Tensor::empty({shape[0], shape[1], shape[2], 9 * shape[3]}, x.dtype(), x.device());
  ops::run(UnfoldArgs{input.view(), out.view()});
  record("unfold3x3", {x}, {out}, [shape](const std::vector<Tensor>& grads) {
    const Tensor grad_out = grads[0].contiguous() ? grads[0] : grads[0].clone();
    const Tensor grad = Tensor::empty(shape, grad_out.dtype(), grad_out.device());
    ops::run(FoldArgs{grad_out.view(), grad.view()});
    return std::vector<Tensor>{grad};
  });
  return out;
}

}  // namespace orrery
