#include "core/ops/matmul.h"

#include <algorithm>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"

namespace orrery::ops {

namespace {

// The last two dimensions exchanged.
Tensor turned(const Tensor& x) {
  Shape shape = x.shape(), strides = x.strides();
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
  return x.alias(std::move(shape), std::move(strides), 0);
}

// One of the last two strides is 1 and nothing overlaps, as the fast kernels want it.
Tensor product_operand(const Tensor& x) {
  const std::int64_t rows = x.dim(-2), columns = x.dim(-1);
  const std::int64_t row = x.strides()[x.shape().size() - 2], column = x.strides().back();
  const bool by_row = (column == 1 || columns == 1) && (row >= columns || rows == 1);
  const bool by_column = (row == 1 || rows == 1) && (column >= rows || columns == 1);
  return by_row || by_column ? x.detach() : dense(x);
}

struct Epilogue {
  Tensor bias;
  Activation activation = Activation::none;
};

Tensor product(const Tensor& a, const Tensor& b, DType dtype, const Epilogue& epilogue = {}) {
  const Shape batch = broadcast_shape("matmul", Shape(a.shape().begin(), a.shape().end() - 2),
                                      Shape(b.shape().begin(), b.shape().end() - 2));
  const auto with = [&](std::int64_t rows, std::int64_t columns) {
    Shape shape = batch;
    shape.push_back(rows);
    shape.push_back(columns);
    return shape;
  };
  const Tensor left = product_operand(a), right = product_operand(b);
  const Tensor c = Tensor::empty(with(a.dim(-2), b.dim(-1)), dtype, a.device());
  run(MatmulArgs{broadcast_view(left, with(a.dim(-2), a.dim(-1))).view(),
                 broadcast_view(right, with(b.dim(-2), b.dim(-1))).view(), epilogue.bias.view(), c.view(),
                 epilogue.activation, false});
  return c;
}

void check_weight(const char* op, const Tensor& x, const Tensor& weight, int rank) {
  check_floating(op, "x", x);
  check_floating(op, "weight", weight);
  ORRERY_CHECK(weight.rank() == rank && x.rank() >= 1 && x.dim(-1) == weight.dim(-1), "[", op, "] x is ", describe(x),
               ", weight is ", describe(weight), ", expected [", rank == 3 ? "groups, " : "",
               "out, in] with in = x's last dimension");
  ORRERY_CHECK(weight.dtype() == x.dtype() || weight.dtype() == DType::f32, "[", op, "] x is ", describe(x),
               ", weight is ", describe(weight), ", expected f32 or x's dtype");
}

Unary unary_of(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return Unary::relu;
    case Activation::silu:
      return Unary::silu;
    default:
      return Unary::gelu;
  }
}

Shape with_last(Shape shape, std::int64_t last) {
  shape.back() = last;
  return shape;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_floating("matmul", "a", a);
  check_floating("matmul", "b", b);
  ORRERY_CHECK(a.rank() >= 2 && b.rank() >= 2 && a.dim(-1) == b.dim(-2), "[matmul] a is ", describe(a), ", b is ",
               describe(b), ", expected [..., m, k] and [..., k, n]");
  ORRERY_CHECK(a.dtype() == b.dtype(), "[matmul] a is ", describe(a), ", b is ", describe(b),
               ", expected the same dtype");
  const Tensor c = product(a, b, a.dtype());
  if (!needs_tape({&a, &b})) return c;
  record("matmul", {a, b}, {c},
         [a = a.detach(), b = b.detach(), wants_a = a.requires_grad(),
          wants_b = b.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> result(2);
           const Tensor grad = dense_as(grads[0], a.dtype());
           if (wants_a) result[0] = sum_to(product(grad, turned(b), a.dtype()), a.shape(), a.dtype());
           if (wants_b) result[1] = sum_to(product(turned(a), grad, b.dtype()), b.shape(), b.dtype());
           return result;
         });
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  check_weight("linear", x, weight, 2);
  ORRERY_CHECK(!bias.defined() || (bias.dtype() == DType::f32 && bias.shape() == Shape{weight.dim(0)}),
               "[linear] bias is ", describe(bias), ", expected f32 [", weight.dim(0), "]");
  const bool taped = needs_tape({&x, &weight, &bias});
  const Tensor rows = dense(x).reshaped({-1, x.dim(-1)});
  // Backward needs the value before the activation, so the two are one product only when nothing is recorded.
  const bool fused = activation == Activation::none || !taped;
  const Tensor flat = product(rows, turned(weight), x.dtype(),
                              {bias.defined() ? dense(bias) : bias, fused ? activation : Activation::none});
  const Tensor y = flat.reshaped(with_last(x.shape(), weight.dim(0)));
  if (!taped) return y;
  record("linear", {x, weight, bias}, {y},
         [rows, weight = weight.detach(), bias_shape = bias.defined() ? bias.shape() : Shape{}, shape = x.shape(),
          wants_x = x.requires_grad(), wants_weight = weight.requires_grad(),
          wants_bias = bias.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> result(3);
           const Tensor grad = dense_as(grads[0], rows.dtype()).reshaped({-1, weight.dim(0)});
           if (wants_x) result[0] = product(grad, weight, rows.dtype()).reshaped(shape);
           if (wants_weight) result[1] = product(turned(grad), rows, weight.dtype());
           if (wants_bias) result[2] = sum_to(grad, bias_shape, DType::f32);
           return result;
         });
  return fused ? y : unary(unary_of(activation), y);
}

Tensor batched_linear(const Tensor& x, const Tensor& weight) {
  check_weight("batched_linear", x, weight, 3);
  ORRERY_CHECK(x.rank() >= 2 && x.dim(-2) == weight.dim(0), "[batched_linear] x is ", describe(x), ", weight is ",
               describe(weight), ", expected [..., groups, in] and [groups, out, in]");
  const std::int64_t groups = weight.dim(0), out = weight.dim(1), in = weight.dim(2);
  const Tensor flat = dense(x).reshaped({x.numel() / std::max<std::int64_t>(1, groups * in), groups, in});
  const std::int64_t rows = flat.dim(0);
  const Tensor cast_weight = dense_as(weight, x.dtype());
  // Group by group: strided rows of x against one weight, into strided rows of y.
  const auto group_of = [groups, rows](const Tensor& t, std::int64_t g) {
    return t.alias({rows, t.dim(2)}, {groups * t.dim(2), 1}, g * t.dim(2));
  };
  const auto each = [=](const Tensor& source, const Tensor& matrices, const Tensor& target) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const Tensor matrix = matrices.alias({matrices.dim(1), matrices.dim(2)},
                                           {matrices.strides()[1], matrices.strides()[2]}, g * matrices.strides()[0]);
      run(MatmulArgs{
          group_of(source, g).view(), matrix.view(), {}, group_of(target, g).view(), Activation::none, false});
    }
  };
  const Tensor y = Tensor::empty({rows, groups, out}, x.dtype(), x.device());
  each(flat, turned(cast_weight), y);
  const Tensor result = y.reshaped(with_last(x.shape(), out));
  if (!needs_tape({&x, &weight})) return result;
  record("batched_linear", {x, weight}, {result},
         [=, shape = x.shape(), weight_type = weight.dtype(), wants_x = x.requires_grad(),
          wants_weight = weight.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> gradients(2);
           const Tensor grad = dense_as(grads[0], flat.dtype()).reshaped({rows, groups, out});
           if (wants_x) {
             const Tensor grad_x = Tensor::empty_like(flat);
             each(grad, cast_weight, grad_x);
             gradients[0] = grad_x.reshaped(shape);
           }
           if (wants_weight) {
             gradients[1] = Tensor::empty({groups, out, in}, weight_type, flat.device());
             for (std::int64_t g = 0; g < groups; ++g)
               run(MatmulArgs{turned(group_of(grad, g)).view(),
                              group_of(flat, g).view(),
                              {},
                              gradients[1].alias({out, in}, {in, 1}, g * out * in).view(),
                              Activation::none,
                              false});
           }
           return gradients;
         });
  return result;
}

Tensor grouped_linear(const Tensor& x, const Tensor& weight, const Tensor& offsets) {
  check_weight("grouped_linear", x, weight, 3);
  check_dtype("grouped_linear", "offsets", offsets, DType::i32);
  const std::int64_t experts = weight.dim(0), out = weight.dim(1);
  ORRERY_CHECK(x.rank() == 2 && offsets.shape() == Shape{experts + 1}, "[grouped_linear] x is ", describe(x),
               ", offsets are ", describe(offsets), ", expected [rows, in] and [", experts + 1, "]");
  if (offsets.device() == Device::cpu) {
    const auto bounds = offsets.span<std::int32_t>();
    ORRERY_CHECK(bounds.front() == 0 && bounds.back() == x.dim(0) && std::is_sorted(bounds.begin(), bounds.end()),
                 "[grouped_linear] offsets go from ", bounds.front(), " to ", bounds.back(),
                 ", expected non-decreasing from 0 to ", x.dim(0));
  }
  const Tensor rows = dense(x), matrices = dense(weight), bounds = offsets.detach();
  const Tensor y = Tensor::empty({x.dim(0), out}, x.dtype(), x.device());
  run(GroupedMatmulArgs{rows.view(), turned(matrices).view(), bounds.view(), y.view()});
  if (!needs_tape({&x, &weight})) return y;
  record("grouped_linear", {x, weight}, {y},
         [=, wants_x = x.requires_grad(), wants_weight = weight.requires_grad()](const std::vector<Tensor>& grads) {
           std::vector<Tensor> result(2);
           const Tensor grad = dense_as(grads[0], rows.dtype());
           if (wants_x) {
             result[0] = Tensor::empty_like(rows);
             run(GroupedMatmulArgs{grad.view(), matrices.view(), bounds.view(), result[0].view()});
           }
           if (wants_weight) {
             const Tensor grad_weight = Tensor::empty(matrices.shape(), DType::f32, matrices.device());
             run(GroupedMatmulWeightGradArgs{grad.view(), rows.view(), bounds.view(), grad_weight.view(), false});
             result[1] = dense_as(grad_weight, matrices.dtype());
           }
           return result;
         });
  return y;
}

}  // namespace orrery::ops
