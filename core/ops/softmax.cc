#include "core/ops/softmax.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "kernels/api/softmax.h"

namespace orrery::ops {

namespace {

Tensor run_softmax(const char* name, const Tensor& x, bool log) {
  check_floating(name, "x", x);
  ORRERY_CHECK(x.rank() >= 1, "[", name, "] x is ", describe(x), ", expected at least one dimension");
  const Tensor y = Tensor::empty_like(x);
  run(SoftmaxArgs{dense(x).view(), y.view(), log});
  if (!needs_tape({&x})) return y;
  record(name, {x}, {y}, [y = y.detach(), log](const std::vector<Tensor>& grads) {
    const Tensor grad_x = Tensor::empty_like(y);
    run(SoftmaxBackwardArgs{y.view(), dense_as(grads[0], y.dtype()).view(), grad_x.view(), log});
    return std::vector<Tensor>{grad_x};
  });
  return y;
}

}  // namespace

Tensor softmax(const Tensor& x) { return run_softmax("softmax", x, false); }
Tensor log_softmax(const Tensor& x) { return run_softmax("log_softmax", x, true); }

Tensor draw(const Tensor& logits, const Tensor& uniforms) {
  ORRERY_CHECK(logits.rank() == 2 && logits.dtype() == DType::f32 && logits.dim(1) > 0, "[draw] logits are ",
               describe(logits), ", expected f32 [rows, n]");
  ORRERY_CHECK(uniforms.dtype() == DType::f32 && uniforms.shape() == Shape{logits.dim(0)}, "[draw] uniforms are ",
               describe(uniforms), ", expected f32 [", logits.dim(0), "]");
  const Tensor rows = logits.strides()[1] == 1 ? logits.detach() : dense(logits),
               out = Tensor::empty({logits.dim(0)}, DType::i32, logits.device());
  run(DrawArgs{rows.view(), dense(uniforms).view(), out.view()});
  return out;
}

}  // namespace orrery::ops
