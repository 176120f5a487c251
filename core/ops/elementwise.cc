#include "core/ops/elementwise.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"

namespace orrery::ops {

namespace {

const char* name_of_binary(Binary op) {
  constexpr const char* kNames[] = {"add", "sub", "mul", "div", "maximum", "minimum", "equal", "less"};
  return kNames[static_cast<int>(op)];
}

const char* name_of_unary(Unary op) {
  constexpr const char* kNames[] = {"affine",     "clamp",    "abs",  "square", "sqrt", "rsqrt",
                                    "reciprocal", "exp",      "log",  "sin",    "cos",  "tanh",
                                    "sigmoid",    "softplus", "relu", "silu",   "gelu"};
  return kNames[static_cast<int>(op)];
}

Tensor run_binary(Binary op, const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast_shape(name_of_binary(op), a.shape(), b.shape());
  const DType dtype = a.dtype() == b.dtype() ? a.dtype() : DType::f32;
  const Tensor y = Tensor::empty(shape, dtype, a.device());
  run(BinaryArgs{with_runs(broadcast_view(a, shape), true).view(), with_runs(broadcast_view(b, shape), true).view(),
                 y.view(), op});
  return y;
}

void check_pair(Binary op, const Tensor& a, const Tensor& b) {
  const bool integers = a.defined() && b.defined() && a.dtype() == DType::i32 && b.dtype() == DType::i32;
  const bool floats = a.defined() && b.defined() && floating(a) && floating(b);
  ORRERY_CHECK(integers || floats, "[", name_of_binary(op), "] operands are ", describe(a), " and ", describe(b),
               ", expected f32 or bf16, or both i32");
  ORRERY_CHECK(a.device() == b.device(), "[", name_of_binary(op), "] operands are on ", name_of(a.device()), " and ",
               name_of(b.device()));
}

// add and sub: nothing has to be saved but the shapes.
Tensor linear_binary(Binary op, const Tensor& a, const Tensor& b) {
  check_pair(op, a, b);
  const Tensor y = run_binary(op, a, b);
  if (!needs_tape({&a, &b})) return y;
  record(name_of_binary(op), {a, b}, {y},
         [op, a_shape = a.shape(), b_shape = b.shape(), a_type = a.dtype(), b_type = b.dtype(),
          wants_a = a.requires_grad(), wants_b = b.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> result(2);
           if (wants_a) result[0] = sum_to(grads[0], a_shape, a_type);
           if (wants_b) {
             result[1] = sum_to(grads[0], b_shape, b_type);
             if (op == Binary::sub) result[1] = scale(result[1], -1.0f);
           }
           return result;
         });
  return y;
}

// The derivative of op with respect to its first or second operand.
Tensor slope_of(Binary op, const Tensor& a, const Tensor& b, bool first) {
  switch (op) {
    case Binary::mul:
      return first ? b : a;
    case Binary::div:
      return first ? reciprocal(b) : scale(mul(div(a, b), reciprocal(b)), -1.0f);
    case Binary::max:
      return first ? affine(less(a, b), -1.0f, 1.0f) : less(a, b);
    case Binary::min:
      return first ? affine(less(b, a), -1.0f, 1.0f) : less(b, a);
    default:
      break;
  }
  ORRERY_ASSERT(false, "[", name_of_binary(op), "] has no derivative");
  return {};
}

Tensor curved_binary(Binary op, const Tensor& a, const Tensor& b) {
  check_pair(op, a, b);
  const Tensor y = run_binary(op, a, b);
  if (!needs_tape({&a, &b})) return y;
  record(name_of_binary(op), {a, b}, {y},
         [op, a = a.detach(), b = b.detach(), wants_a = a.requires_grad(),
          wants_b = b.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> result(2);
           if (wants_a) result[0] = sum_to(mul(grads[0], slope_of(op, a, b, true)), a.shape(), a.dtype());
           if (wants_b) result[1] = sum_to(mul(grads[0], slope_of(op, a, b, false)), b.shape(), b.dtype());
           return result;
         });
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return linear_binary(Binary::add, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return linear_binary(Binary::sub, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return curved_binary(Binary::mul, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return curved_binary(Binary::div, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return curved_binary(Binary::max, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return curved_binary(Binary::min, a, b); }

Tensor equal(const Tensor& a, const Tensor& b) {
  check_pair(Binary::equal, a, b);
  return run_binary(Binary::equal, a, b);
}
Tensor less(const Tensor& a, const Tensor& b) {
  check_pair(Binary::less, a, b);
  return run_binary(Binary::less, a, b);
}

Tensor unary(Unary op, const Tensor& x, float alpha, float beta) {
  check_floating(name_of_unary(op), "x", x);
  const Tensor y = Tensor::empty_like(x);
  const Tensor source = with_runs(x.detach(), false);
  run(UnaryArgs{source.view(), y.view(), op, alpha, beta});
  if (!needs_tape({&x})) return y;
  record(name_of_unary(op), {x}, {y}, [op, source, alpha, beta](const std::vector<Tensor>& grads) {
    const Tensor grad_x = Tensor::empty_like(source);
    const Tensor grad_y =
        with_runs(grads[0].dtype() == source.dtype() ? grads[0] : dense_as(grads[0], source.dtype()), false);
    run(UnaryBackwardArgs{source.view(), grad_y.view(), grad_x.view(), op, alpha, beta});
    return std::vector<Tensor>{grad_x};
  });
  return y;
}

Tensor affine(const Tensor& x, float factor, float offset) { return unary(Unary::affine, x, factor, offset); }
Tensor clamp(const Tensor& x, float low, float high) {
  ORRERY_CHECK(low <= high, "[clamp] low is ", low, ", high is ", high, ", expected low <= high");
  return unary(Unary::clamp, x, low, high);
}
Tensor neg(const Tensor& x) { return affine(x, -1.0f, 0.0f); }
Tensor abs(const Tensor& x) { return unary(Unary::abs, x); }
Tensor square(const Tensor& x) { return unary(Unary::square, x); }
Tensor sqrt(const Tensor& x) { return unary(Unary::sqrt, x); }
Tensor rsqrt(const Tensor& x) { return unary(Unary::rsqrt, x); }
Tensor reciprocal(const Tensor& x) { return unary(Unary::reciprocal, x); }
Tensor exp(const Tensor& x) { return unary(Unary::exp, x); }
Tensor log(const Tensor& x) { return unary(Unary::log, x); }
Tensor sin(const Tensor& x) { return unary(Unary::sin, x); }
Tensor cos(const Tensor& x) { return unary(Unary::cos, x); }
Tensor tanh(const Tensor& x) { return unary(Unary::tanh, x); }
Tensor sigmoid(const Tensor& x) { return unary(Unary::sigmoid, x); }
Tensor softplus(const Tensor& x) { return unary(Unary::softplus, x); }
Tensor relu(const Tensor& x) { return unary(Unary::relu, x); }
Tensor silu(const Tensor& x) { return unary(Unary::silu, x); }
Tensor gelu(const Tensor& x) { return unary(Unary::gelu, x); }

Tensor cast(const Tensor& x, DType dtype) {
  ORRERY_CHECK(x.defined(), "[cast] x is undefined");
  if (x.dtype() == dtype) return x;
  const Tensor y = dense_as(x, dtype);
  if (!floating(y) || !needs_tape({&x})) return y;
  record("cast", {x}, {y}, [from = x.dtype()](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{dense_as(grads[0], from)};
  });
  return y;
}

}  // namespace orrery::ops
