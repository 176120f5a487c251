// Elementwise ops, reductions and ops that move elements: parity, gradients, determinism, broadcasting, errors.
#include "core/ops/elementwise.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"

using namespace orrery;
using test::check_op;
using Tensors = std::vector<Tensor>;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, DType dtype = DType::f32) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random).to(dtype);
}

// Away from 0, where abs, log, rsqrt and their like are steep.
Tensor positive(Shape shape, std::uint64_t seed, DType dtype = DType::f32) {
  Random random(seed);
  return Tensor::uniform(std::move(shape), random, 0.5f, 2.0f).to(dtype);
}

struct UnaryRow {
  const char* name;
  Unary op;
  bool wants_positive;
};
constexpr UnaryRow kUnary[] = {
    {"affine", Unary::affine, false},
    {"clamp", Unary::clamp, true},
    {"abs", Unary::abs, true},
    {"square", Unary::square, false},
    {"sqrt", Unary::sqrt, true},
    {"rsqrt", Unary::rsqrt, true},
    {"reciprocal", Unary::reciprocal, true},
    {"exp", Unary::exp, false},
    {"log", Unary::log, true},
    {"sin", Unary::sin, false},
    {"cos", Unary::cos, false},
    {"tanh", Unary::tanh, false},
    {"sigmoid", Unary::sigmoid, false},
    {"softplus", Unary::softplus, false},
    {"relu", Unary::relu, true},
    {"silu", Unary::silu, false},
    {"gelu", Unary::gelu, false},
};

}  // namespace

TEST_CASE("unary ops agree with their references", "[ops]") {
  for (const auto& row : kUnary)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Shape& shape : {Shape{1}, Shape{3, 37}, Shape{2, 0}, Shape{5, 131}})
        // ε of f32 in the function's own argument grows in the result: exp, sin and their like lose two or three bits.
        check_op({.name = std::string(row.name) + " " + to_string(shape),
                  .inputs = {row.wants_positive ? positive(shape, 1, dtype) : normal(shape, 1, dtype)},
                  .run =
                      [&](const Tensors& in) {
                        const bool clamp = row.op == Unary::clamp;
                        return Tensors{ops::unary(row.op, in[0], clamp ? 0.2f : 1.7f, clamp ? 2.5f : -0.3f)};
                      },
                  .roundings = 3});
}

TEST_CASE("unary ops of far and odd values", "[ops]") {
  const float inf = INFINITY;
  const Tensor x = Tensor::from({-inf, -1e30f, -100.0f, -20.0f, -0.0f, 0.0f, 1e-30f, 20.0f, 88.0f, 100.0f, 1e30f, inf,
                                 NAN, 3.0f, -3.0f, 9.0f, 0.5f},
                                {17});
  for (const auto& row : kUnary) {
    if (row.op == Unary::sin || row.op == Unary::cos) continue;  // meaningless far out
    for (const DType dtype : {DType::f32, DType::bf16})
      check_op({.name = std::string("far ") + row.name,
                .inputs = {x.to(dtype)},
                .run = [&](const Tensors& in) { return Tensors{ops::unary(row.op, in[0], 0.5f, 1.0f)}; },
                .roundings = 3,
                .gradient = false});
  }
}

TEST_CASE("unary ops take strided views", "[ops]") {
  check_op({.name = "silu of strided rows",
            .inputs = {test::strided_rows(normal({4, 19}, 3), 5)},
            .run = [](const Tensors& in) { return Tensors{ops::silu(in[0])}; },
            .roundings = 3});
  check_op({.name = "gelu of a transposed view",
            .inputs = {test::stored_transposed(normal({4, 19}, 3))},
            .run = [](const Tensors& in) { return Tensors{ops::gelu(in[0])}; },
            .roundings = 3});
}

TEST_CASE("binary ops broadcast", "[ops]") {
  using Op = Tensor (*)(const Tensor&, const Tensor&);
  const std::pair<const char*, Op> table[] = {{"add", ops::add}, {"sub", ops::sub},         {"mul", ops::mul},
                                              {"div", ops::div}, {"maximum", ops::maximum}, {"minimum", ops::minimum}};
  // The last one's second gradient is a single sum, and its bound relative to that: of a size at which the seeds of the
  // check do not cancel (4 × 64 of them leave 1% of what is usual, in which f32's rounding shows).
  const std::pair<Shape, Shape> shapes[] = {{{1}, {1}},        {{3, 37}, {3, 37}},     {{3, 37}, {37}},
                                            {{3, 1}, {1, 37}}, {{2, 1, 5}, {2, 7, 1}}, {{0, 4}, {4}},
                                            {{4, 72}, {1}}};
  for (const auto& [name, op] : table)
    for (const auto& [left, right] : shapes)
      for (const auto& [a, b] :
           {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::bf16}, std::pair{DType::f32, DType::bf16}})
        check_op({.name = std::string(name) + " " + to_string(left) + " " + to_string(right),
                  .inputs = {normal(left, 5, a), positive(right, 6, b)},
                  .run = [&op = op](const Tensors& in) { return Tensors{op(in[0], in[1])}; },
                  .depth = 64,
                  .roundings = 4,
                  // Small, so that no difference reaches across the kink of a maximum.
                  .step = op == ops::maximum || op == ops::minimum ? 1.0 / 32768 : 1.0 / 256});
  CHECK_THROWS_WITH(ops::add(normal({2, 3}, 1), normal({2}, 1)),
                    ContainsSubstring("[add]") && ContainsSubstring("[2, 3]"));
  CHECK_THROWS_AS(ops::mul(normal({2}, 1), Tensor::from(std::vector<std::int32_t>{1, 2}, {2})), InputError);
}

TEST_CASE("comparisons and i32 arithmetic are exact", "[ops]") {
  const Tensor a = Tensor::from(std::vector<std::int32_t>{1, 16777217, -5}, {3});
  const Tensor b = Tensor::from(std::vector<std::int32_t>{1, 1, 7}, {3});
  const Tensor sum = ops::add(a, b);
  CHECK(sum.span<std::int32_t>()[1] == 16777218);
  CHECK(ops::less(b, a).to_vector() == std::vector<float>{0, 1, 0});
  CHECK(ops::equal(a, b).to_vector() == std::vector<float>{1, 0, 0});
}

TEST_CASE("casts round to nearest even and saturate", "[ops]") {
  check_op({.name = "cast to bf16",
            .inputs = {normal({3, 131}, 8)},
            .run = [](const Tensors& in) { return Tensors{ops::cast(in[0], DType::bf16)}; },
            .gradient = false});
  const Tensor x = Tensor::from({-300, -1.5f, 0.5f, 1.5f, 300, NAN}, {6});
  CHECK(ops::cast(x, DType::i8).to_vector() == std::vector<float>{-128, -2, 0, 2, 127, 0});
  Tensor leaf = normal({4}, 2);
  leaf.set_requires_grad(true);
  backward(ops::sum(ops::cast(leaf, DType::bf16)));
  CHECK(leaf.grad().dtype() == DType::f32);
}

TEST_CASE("reductions over any dimensions", "[ops]") {
  using Op = Tensor (*)(const Tensor&, std::vector<int>, bool);
  constexpr Op kMax = ops::max;
  const std::pair<const char*, Op> table[] = {{"sum", ops::sum}, {"mean", ops::mean}, {"max", ops::max}};
  const std::pair<Shape, std::vector<int>> cases[] = {{{7, 131}, {1}},     {{7, 131}, {0}},  {{300, 5}, {0}},
                                                      {{3, 5, 7}, {0, 2}}, {{3, 5, 7}, {1}}, {{2, 3, 4, 5}, {1, -1}},
                                                      {{1, 1}, {0}},       {{2000}, {0}}};
  for (const auto& [name, op] : table)
    for (const auto& [shape, dims] : cases)
      for (const DType dtype : {DType::f32, DType::bf16})
        for (const bool keep : {false, true})
          check_op({.name = std::string(name) + " of " + to_string(shape),
                    .inputs = {normal(shape, 12, dtype)},
                    .run = [&op = op, &dims = dims, keep](const Tensors& in) { return Tensors{op(in[0], dims, keep)}; },
                    .depth = 2000,
                    .roundings = 2,
                    .step = op == kMax ? 1.0 / 32768 : 1.0 / 64});
  check_op({.name = "max of NaN and infinities",
            .inputs = {Tensor::from({1, NAN, 3, -INFINITY, 2, INFINITY}, {2, 3})},
            .run =
                [](const Tensors& in) {
                  return Tensors{ops::max(in[0], {1}), ops::max(in[0], {0})};
                },
            .gradient = false});
  check_op({.name = "sum of a transposed view",
            .inputs = {test::stored_transposed(normal({9, 65}, 4))},
            .run =
                [](const Tensors& in) {
                  return Tensors{ops::sum(in[0], {1}), ops::sum(in[0], {0}), ops::sum(in[0])};
                },
            .depth = 585});
  for (const auto& [name, op] : table)  // so long that a device cuts them into parts
    for (const auto& [shape, dim] : {std::pair{Shape{5000, 40}, 0}, std::pair{Shape{3, 30001}, 1}})
      check_op({.name = std::string(name) + " of " + to_string(shape),
                .inputs = {normal(shape, 13)},
                .run = [&op = op, dim = dim](const Tensors& in) { return Tensors{op(in[0], {dim}, false)}; },
                .depth = 30001,
                .gradient = false});
  CHECK(ops::sum(Tensor::zeros({0, 3})).item() == 0);
  CHECK_THROWS_WITH(ops::max(Tensor::zeros({0, 3}), {0}), ContainsSubstring("[max]"));
  CHECK_THROWS_AS(ops::sum(normal({2, 3}, 1), {2}), InputError);
  CHECK_THROWS_AS(ops::sum(normal({2, 3}, 1), {0, -2}), InputError);
}

TEST_CASE("the norm of tensors is the root of their squares", "[ops]") {
  CHECK(ops::norm({Tensor::from({3}, {1}), Tensor(), Tensor::from({4}, {1})}) == Approx(5));
  const Tensor big = normal({3, 70001}, 5);
  double expected = 0;
  for (const float value : big.to_vector()) expected += double{value} * double{value};
  CHECK(ops::norm({big}) == Approx(std::sqrt(expected)).epsilon(1e-6));
  const double here = ops::norm({big});
  const test::Threads one(1);
  CHECK(ops::norm({big}) == here);
}

TEST_CASE("ops that move elements", "[ops]") {
  const Tensor x = normal({3, 5, 7}, 21);
  const auto check = [&](const char* name, auto op) {
    for (const DType dtype : {DType::f32, DType::bf16})
      check_op({.name = name, .inputs = {x.to(dtype), ops::scale(x, 2).to(dtype)}, .run = op});
  };
  check("reshape", [](const Tensors& in) {
    return Tensors{ops::reshape(in[0], {7, -1}), ops::reshape(ops::transpose(in[1], 0, 1), {15, 7})};
  });
  check("transpose", [](const Tensors& in) {
    return Tensors{ops::transpose(in[0], 0, -1), ops::contiguous(ops::permute(in[1], {2, 0, 1}))};
  });
  check("narrow", [](const Tensors& in) { return Tensors{ops::narrow(in[0], 1, 2, 3), ops::narrow(in[1], -1, 0, 0)}; });
  check("split", [](const Tensors& in) {
    Tensors parts = ops::split(in[0], 2, {1, 4, 2});
    parts.push_back(ops::split(in[1], 0, {2, 1})[1]);  // one piece unused
    return parts;
  });
  check("expand", [](const Tensors& in) {
    return Tensors{ops::expand(ops::narrow(in[0], 1, 1, 1), {2, 3, 5, 7}), in[1]};
  });
  check("concat", [](const Tensors& in) {
    return Tensors{ops::concat({in[0], in[1], in[0]}, 1), ops::concat({in[1]}, -1)};
  });
  check("pad", [](const Tensors& in) { return Tensors{ops::pad(in[0], 1, 2, 0, 0.5f), ops::pad(in[1], -1, 0, 3)}; });
}

TEST_CASE("ops that move elements put them where they belong", "[ops]") {
  const Tensor x = Tensor::from({0, 1, 2, 3, 4, 5}, {2, 3});
  CHECK(ops::transpose(x, 0, 1).to_vector() == std::vector<float>{0, 3, 1, 4, 2, 5});
  CHECK(ops::narrow(x, 1, 1, 2).to_vector() == std::vector<float>{1, 2, 4, 5});
  CHECK(ops::concat({x, x}, 1).to_vector() == std::vector<float>{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  CHECK(ops::pad(x, 1, 1, 0, 9).to_vector() == std::vector<float>{9, 0, 1, 2, 9, 3, 4, 5});
  CHECK(ops::expand(ops::narrow(x, 0, 1, 1), {2, 3}).to_vector() == std::vector<float>{3, 4, 5, 3, 4, 5});
  CHECK_THROWS_WITH(ops::narrow(x, 1, 2, 2), ContainsSubstring("[narrow]"));
  CHECK_THROWS_WITH(ops::split(x, 1, {1, 1}), ContainsSubstring("sum up to 2"));
  CHECK_THROWS_WITH(ops::concat({x, Tensor::zeros({2, 2})}, 0), ContainsSubstring("[concat]"));
  CHECK_THROWS_AS(ops::permute(x, {0, 0}), InputError);
  CHECK_THROWS_AS(ops::reshape(x, {4, -1}), InputError);
  CHECK_THROWS_AS(ops::expand(x, {3, 3}), InputError);
  CHECK_THROWS_AS(ops::pad(x, 0, -1, 0), InputError);
}
