#include "core/ops/hyper_connection.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/checks.h"
#include "kernels/api/hyper_connection.h"

namespace orrery::ops {

namespace {

// x [..., n, d] as [T, n, d].
Tensor streams(const Tensor& x) {
  return packed(x).reshaped({x.numel() / (x.dim(-1) * x.dim(-2)), x.dim(-2), x.dim(-1)});
}

void check_streams(const char* op, const Tensor& x) {
  ORRERY_CHECK(x.defined() && is_float(x) && x.rank() >= 2 && x.dim(-2) >= 1 && x.dim(-2) <= 8 && x.dim(-1) >= 1, "[",
               op, "] x is ", described(x), ", expected f32 or bf16 [..., n, d] with n from 1 to 8");
}

}  // namespace

HyperConnection hc_pre(const Tensor& x, const Tensor& fn, const Tensor& base, const Tensor& scale,
                       const HyperConnectionOptions& options) {
  const char* op = HcPreArgs::kOp;
  check_streams(op, x);
  ORRERY_CHECK(options.iterations >= 1, "[", op, "] iterations is ", options.iterations, ", expected at least 1");
  const std::int64_t n = x.dim(-2), d = x.dim(-1);
  const bool head = fn.defined() && fn.rank() == 2 && fn.dim(0) == n;
  const std::int64_t rows = head ? n : (2 + n) * n;
  check_is(op, "fn", fn, DType::f32, {rows, n * d});
  check_is(op, "base", base, DType::f32, {rows});
  check_is(op, "scale", scale, DType::f32, {head ? 1 : 3});
  const Tensor in_x = streams(x), in_fn = packed(fn), in_base = packed(base), in_scale = packed(scale);
  const std::int64_t tokens = in_x.dim(0);
  Shape outer(x.shape().begin(), x.shape().end() - 2), h_shape = outer, post_shape = outer, comb_shape = outer;
  h_shape.push_back(d);
  post_shape.push_back(n);
  comb_shape.insert(comb_shape.end(), {n, n});
  const auto floats = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, x.device()); };
  const Tensor h = Tensor::empty(h_shape, x.dtype(), x.device()), mix = floats({tokens, rows}),
               inverse = floats({tokens}), pre = floats({tokens, n}), post = head ? Tensor() : floats(post_shape),
               comb = head ? Tensor() : floats(comb_shape);
  const HcOptions kernel_options{options.iterations, options.eps, options.norm_eps};
  const auto flat = [](const Tensor& t, const Shape& shape) { return t.defined() ? t.detach().reshaped(shape) : t; };
  run(HcPreArgs{in_x.view(), in_fn.view(), in_base.view(), in_scale.view(), flat(h, {tokens, d}).view(), mix.view(),
                inverse.view(), pre.view(), flat(post, {tokens, n}).view(), flat(comb, {tokens, n, n}).view(),
                kernel_options});
  const std::vector<Tensor> outputs = head ? std::vector<Tensor>{h} : std::vector<Tensor>{h, post, comb};
  record(op, {x, fn, base, scale}, outputs, [=, full = x.shape()](const std::vector<Tensor>& grads) {
    const Tensor grad_h = packed_or_zeros(grads[0], h_shape, in_x.dtype(), in_x.device()).reshaped({tokens, d});
    Tensor grad_post, grad_comb;
    if (!head) {
      grad_post = packed_or_zeros(grads[1], post_shape, DType::f32, in_x.device()).reshaped({tokens, n});
      grad_comb = packed_or_zeros(grads[2], comb_shape, DType::f32, in_x.device()).reshaped({tokens, n, n});
    }
    const Tensor grad_x = Tensor::empty_like(in_x), grad_fn = Tensor::empty_like(in_fn),
                 grad_base = Tensor::empty_like(in_base), grad_scale = Tensor::empty_like(in_scale);
    run(HcPreBackwardArgs{in_x.view(), in_fn.view(), in_base.view(), in_scale.view(), mix.view(), inverse.view(),
                          pre.view(), grad_h.view(), grad_post.view(), grad_comb.view(), grad_x.view(), grad_fn.view(),
                          grad_base.view(), grad_scale.view(), kernel_options});
    return std::vector<Tensor>{grad_x.reshaped(full), grad_fn, grad_base, grad_scale};
  });
  return {h, post, comb};
}

Tensor hc_post(const Tensor& x, const Tensor& f, const Tensor& post, const Tensor& comb) {
  const char* op = HcPostArgs::kOp;
  check_streams(op, x);
  const std::int64_t n = x.dim(-2), d = x.dim(-1);
  Shape outer(x.shape().begin(), x.shape().end() - 2), f_shape = outer, post_shape = outer, comb_shape = outer;
  f_shape.push_back(d);
  post_shape.push_back(n);
  comb_shape.insert(comb_shape.end(), {n, n});
  check_is(op, "f", f, x.dtype(), f_shape);
  check_is(op, "post", post, DType::f32, post_shape);
  check_is(op, "comb", comb, DType::f32, comb_shape);
  const Tensor in_x = streams(x);
  const std::int64_t tokens = in_x.dim(0);
  const Tensor in_f = packed(f).reshaped({tokens, d}), in_post = packed(post).reshaped({tokens, n}),
               in_comb = packed(comb).reshaped({tokens, n, n});
  const Tensor y = Tensor::empty_like(x);
  run(HcPostArgs{in_x.view(), in_f.view(), in_post.view(), in_comb.view(), y.detach().reshaped(in_x.shape()).view()});
  record(op, {x, f, post, comb}, {y}, [=, full = x.shape()](const std::vector<Tensor>& grads) {
    const Tensor grad_y = packed(grads[0]).reshaped(in_x.shape());
    const Tensor grad_x = Tensor::empty_like(in_x), grad_f = Tensor::empty_like(in_f),
                 grad_post = Tensor::empty_like(in_post), grad_comb = Tensor::empty_like(in_comb);
    run(HcPostBackwardArgs{in_x.view(), in_f.view(), in_post.view(), in_comb.view(), grad_y.view(), grad_x.view(),
                           grad_f.view(), grad_post.view(), grad_comb.view()});
    return std::vector<Tensor>{grad_x.reshaped(full), grad_f.reshaped(f_shape), grad_post.reshaped(post_shape),
                               grad_comb.reshaped(comb_shape)};
  });
  return y;
}

}  // namespace orrery::ops
