// Matrix products: parity, gradients, views, batches, epilogues, experts, determinism, errors.
#include "core/ops/matmul.h"

#include <array>

#include "core/base/random.h"
#include "core/ops/backends.h"
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

Tensors product(const Tensors& in) { return {ops::matmul(in[0], in[1])}; }

}  // namespace

TEST_CASE("matmul agrees with its reference", "[ops][matmul]") {
  struct Row {
    Shape a, b;
  };
  const Row rows[] = {{{1, 1}, {1, 1}},       {{7, 13}, {13, 5}},     {{1, 64}, {64, 33}},
                      {{65, 1}, {1, 3}},      {{33, 128}, {128, 64}}, {{2, 3, 17}, {2, 17, 5}},
                      {{2, 3, 4, 8}, {8, 6}}, {{4, 8}, {3, 8, 2}},    {{2, 1, 5, 7}, {1, 3, 7, 4}},
                      {{0, 4}, {4, 3}},       {{4, 0}, {0, 3}},       {{2, 0, 4}, {2, 4, 3}},
                      {{300, 70}, {70, 40}}};
  for (const auto& row : rows)
    for (const DType dtype : {DType::f32, DType::bf16})
      check_op({.name = "matmul " + to_string(row.a) + to_string(row.b),
                .inputs = {normal(row.a, 1, dtype), normal(row.b, 2, dtype)},
                .run = product,
                .depth = 300});
}

TEST_CASE("matmul sums up long columns in chunks", "[ops][matmul]") {
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{70, 1000, 33}, std::array<std::int64_t, 3>{33, 2051, 200}})
    for (const DType dtype : {DType::f32, DType::bf16})
      check_op({.name = "a weight's gradient over " + std::to_string(k) + " rows",
                .inputs = {normal({k, n}, 1, dtype), normal({m, n}, 2, DType::f32), normal({m}, 3)},
                .run = [](const Tensors& in) { return Tensors{ops::linear(in[0], in[1], in[2])}; },
                .depth = k,
                .roundings = 2});
}

TEST_CASE("matmul takes transposed, strided and overlapping views", "[ops][matmul]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor a = normal({2, 9, 17}, 1, dtype), b = normal({2, 17, 6}, 2, dtype);
    const auto check = [&](const char* name, const Tensor& left, const Tensor& right) {
      check_op({.name = name, .inputs = {left, right}, .run = product, .depth = 34});
    };
    check("transposed a", test::stored_transposed(a), b);
    check("transposed b", a, test::stored_transposed(b));
    check("transposed both", test::stored_transposed(a), test::stored_transposed(b));
    check("strided rows", test::strided_rows(a, 3), test::strided_rows(b, 5));
    check_op({.name = "heads",  // [B, T, H, D] seen as [B, H, T, D]
              .inputs = {normal({2, 5, 3, 8}, 3, dtype), normal({2, 7, 3, 8}, 4, dtype)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{ops::matmul(ops::transpose(in[0], 1, 2), ops::permute(in[1], {0, 2, 3, 1}))};
                  },
              .depth = 8});
    check_op({.name = "every other column",
              .inputs = {normal({5, 12}, 5, dtype), normal({6, 4}, 6, dtype)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{
                        ops::matmul(ops::transpose(ops::reshape(in[0], {5, 6, 2}), 1, 2).dim(1) == 2
                                        ? ops::reshape(ops::narrow(ops::reshape(in[0], {5, 6, 2}), 2, 1, 1), {5, 6})
                                        : in[0],
                                    in[1])};
                  },
              .depth = 6});
  }
}

TEST_CASE("linear multiplies by a transposed weight, adds a bias and applies an activation", "[ops][matmul]") {
  struct Row {
    Shape x;
    std::int64_t out;
  };
  for (const auto& [x, out] :
       {Row{{5, 7}, 3}, Row{{2, 3, 33}, 17}, Row{{1, 64}, 64}, Row{{400, 48}, 40}, Row{{0, 8}, 4}})
    for (const auto& [x_type, weight_type] :
         {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::f32}, std::pair{DType::bf16, DType::bf16}})
      for (const Activation activation : {Activation::none, Activation::relu, Activation::silu, Activation::gelu})
        for (const bool with_bias : {false, true}) {
          if (x[0] == 400 && activation != Activation::none) continue;
          // relu's kink makes finite differences meaningless where a value is near 0: the unary test has its gradient.
          const bool smooth = activation != Activation::relu;
          check_op(
              {.name = std::string("linear ") + to_string(x) + " " + name_of(activation),
               .inputs = {normal(x, 1, x_type), normal({out, x.back()}, 2, weight_type),
                          with_bias ? normal({out}, 3) : Tensor()},
               .run = [activation](const Tensors& in) { return Tensors{ops::linear(in[0], in[1], in[2], activation)}; },
               .depth = 400,
               .roundings = 3,
               .gradient = smooth,
               .step = 1.0 / 256});
        }
}

TEST_CASE("a fused epilogue gives what the separate steps give", "[ops][matmul]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = normal({37, 29}, 1, dtype), w = normal({11, 29}, 2), bias = normal({11}, 3),
                 start = normal({37, 11}, 4, dtype);
    const auto run = [&] {
      const Tensor y = start.clone();
      ops::run(
          MatmulArgs{x.view(), w.alias({29, 11}, {1, 29}, 0).view(), bias.view(), y.view(), Activation::silu, true});
      return y;
    };
    const Tensor fast = run();
    const test::ForcedKernel reference("*=reference");
    test::check_close("fused", fast, run(), dtype == DType::f32 ? 1e-6 : 0x1p-7);
  }
}

TEST_CASE("grouped products keep to their experts' rows", "[ops][matmul]") {
  const std::vector<std::vector<std::int32_t>> cases = {
      {0, 3, 3, 10}, {0, 0, 0, 0}, {0, 1, 40, 97}, {0, 16, 32, 48}, {0, 0, 0, 5}, {0, 33, 300, 700}, {0, 5, 5, 5}};
  for (const auto& bounds : cases)
    for (const auto& [x_type, weight_type] :
         {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::f32}, std::pair{DType::bf16, DType::bf16}})
      check_op({.name = "grouped_linear of " + std::to_string(bounds.back()) + " rows",
                .inputs = {normal({bounds.back(), 24}, 1, x_type), normal({3, 10, 24}, 2, weight_type),
                           Tensor::from(bounds, {4})},
                .run = [](const Tensors& in) { return Tensors{ops::grouped_linear(in[0], in[1], in[2])}; },
                .depth = 700,
                .roundings = 2});
}

TEST_CASE("grouped products of several tiles a side", "[ops][matmul]") {
  for (const DType weight_type : {DType::f32, DType::bf16})
    check_op({.name = std::string("grouped_linear of tiles, weights ") + name_of(weight_type),
              .inputs = {normal({200, 136}, 1, DType::bf16), normal({3, 264, 136}, 2, weight_type),
                         Tensor::from(std::vector<std::int32_t>{0, 131, 131, 200}, {4})},
              .run = [](const Tensors& in) { return Tensors{ops::grouped_linear(in[0], in[1], in[2])}; },
              .depth = 264,
              .roundings = 2});
}

TEST_CASE("batched_linear has a weight for each group", "[ops][matmul]") {
  for (const auto& [x_type, weight_type] : {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::f32}})
    check_op({.name = "batched_linear",
              .inputs = {normal({2, 5, 3, 16}, 1, x_type), normal({3, 7, 16}, 2, weight_type)},
              .run = [](const Tensors& in) { return Tensors{ops::batched_linear(in[0], in[1])}; },
              .depth = 16,
              .roundings = 2});
}

TEST_CASE("large products are the same bits with one thread and with two", "[ops][matmul]") {
  struct Row {
    Shape x, w;
  };
  for (const auto& [x, w] : {Row{{1000, 256}, {512, 256}}, Row{{3001, 64}, {96, 64}}, Row{{130, 1024}, {1030, 1024}}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const test::OpCase op{.name = "linear",
                            .inputs = {normal(x, 1, dtype), normal(w, 2)},
                            .run = [](const Tensors& in) { return Tensors{ops::linear(in[0], in[1])}; }};
      Tensors one, two;
      {
        const test::Threads threads(1);
        one = test::outputs_and_gradients(op);
      }
      {
        const test::Threads threads(2);
        two = test::outputs_and_gradients(op);
      }
      for (std::size_t i = 0; i < one.size(); ++i) {
        const bool same = one[i].to_vector() == two[i].to_vector();
        INFO(to_string(x) << " result " << i);
        CHECK(same);
      }
    }
}

TEST_CASE("products of wrong operands say what they found", "[ops][matmul]") {
  CHECK_THROWS_WITH(ops::matmul(normal({2, 3}, 1), normal({4, 5}, 1)),
                    ContainsSubstring("[matmul] a is f32 [2, 3], b is f32 [4, 5]"));
  CHECK_THROWS_WITH(ops::matmul(normal({2, 3}, 1), normal({3, 5}, 1, DType::bf16)), ContainsSubstring("same dtype"));
  CHECK_THROWS_WITH(ops::matmul(normal({2, 2, 3}, 1), normal({3, 3, 5}, 1)), ContainsSubstring("do not broadcast"));
  CHECK_THROWS_WITH(ops::linear(normal({2, 3}, 1), normal({5, 4}, 1)), ContainsSubstring("[linear]"));
  CHECK_THROWS_WITH(ops::linear(normal({2, 3}, 1), normal({5, 3}, 1), normal({4}, 1)),
                    ContainsSubstring("bias is f32 [4]"));
  const Tensor offsets = Tensor::from(std::vector<std::int32_t>{0, 3, 2}, {3});
  CHECK_THROWS_WITH(ops::grouped_linear(normal({2, 3}, 1), normal({2, 4, 3}, 1), offsets),
                    ContainsSubstring("[grouped_linear] offsets"));
  CHECK_THROWS_AS(ops::matmul(Tensor(), normal({1, 1}, 1)), InputError);
}
