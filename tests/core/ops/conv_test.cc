// Convolutions and transposed ones, two- and three-dimensional.
#include "core/ops/conv.h"

#include "core/base/random.h"
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

}  // namespace

TEST_CASE("convolutions agree with their references", "[ops][conv]") {
  struct Row {
    Shape x, weight;
    ops::ConvOptions options;
  };
  const Row rows[] = {{{2, 5, 7, 3}, {4, 3, 3, 3}, {{1}, {1}, {1}}},
                      {{1, 8, 8, 16}, {32, 3, 3, 16}, {{2}, {1}, {1}}},
                      {{3, 6, 5, 1}, {1, 1, 1, 1}, {}},
                      {{1, 9, 6, 5}, {7, 3, 2, 5}, {{2, 1}, {0, 1}, {2, 1}}},
                      {{11, 4, 4, 8}, {8, 2, 2, 8}, {{2}, {0}, {1}}},
                      {{0, 4, 4, 8}, {8, 2, 2, 8}, {}}};
  for (const Row& row : rows)
    for (const auto& [x_type, weight_type] :
         {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::f32}, std::pair{DType::bf16, DType::bf16}})
      check_op({.name = "conv2d " + to_string(row.x) + to_string(row.weight),
                .inputs = {normal(row.x, 1, x_type), normal(row.weight, 2, weight_type), normal({row.weight[0]}, 3)},
                .run = [&](const Tensors& in) { return Tensors{ops::conv2d(in[0], in[1], in[2], row.options)}; },
                .depth = 400});
}

TEST_CASE("three-dimensional convolutions agree with their references", "[ops][conv]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    check_op({.name = "conv3d",
              .inputs = {normal({2, 3, 5, 4, 6}, 1, dtype), normal({5, 2, 3, 3, 6}, 2), normal({5}, 3)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{ops::conv3d(in[0], in[1], in[2], {{1, 2, 1}, {1, 1, 0}, {1}})};
                  },
              .depth = 120});
    check_op({.name = "conv3d without bias",
              .inputs = {normal({1, 4, 4, 4, 16}, 1, dtype), normal({16, 3, 3, 3, 16}, 2)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{ops::conv3d(in[0], in[1], {}, {{1}, {1}, {1}})};
                  },
              .depth = 432});
  }
}

TEST_CASE("transposed convolutions agree with their references", "[ops][conv]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    check_op({.name = "conv_transpose2d",
              .inputs = {normal({2, 4, 3, 6}, 1, dtype), normal({6, 3, 3, 5}, 2), normal({5}, 3)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{ops::conv_transpose2d(in[0], in[1], in[2], {{2}, {1}, {1}})};
                  },
              .depth = 120,
              .roundings = 3});
    check_op({.name = "conv_transpose3d",
              .inputs = {normal({1, 2, 3, 3, 4}, 1, dtype), normal({4, 2, 2, 2, 3}, 2)},
              .run =
                  [](const Tensors& in) {
                    return Tensors{ops::conv_transpose3d(in[0], in[1], {}, {{2}, {0}, {1}})};
                  },
              .depth = 64});
  }
}

TEST_CASE("a convolution of one is a product, and its transpose puts each value back", "[ops][conv]") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 2, 2, 1});
  CHECK(ops::conv2d(x, Tensor::from({10, 100}, {2, 1, 1, 1})).to_vector() ==
        std::vector<float>{10, 100, 20, 200, 30, 300, 40, 400});
  const Tensor y = ops::conv_transpose2d(x, Tensor::from({1, 2, 3, 4}, {1, 2, 2, 1}), {}, {{2}, {0}, {1}});
  CHECK(y.shape() == Shape{1, 4, 4, 1});
  CHECK(y.to_vector() == std::vector<float>{1, 2, 2, 4, 3, 4, 6, 8, 3, 6, 4, 8, 9, 12, 12, 16});
  CHECK_THROWS_WITH(ops::conv2d(x, Tensor::zeros({1, 3, 3, 1})), ContainsSubstring("too small"));
  CHECK_THROWS_WITH(ops::conv2d(x, Tensor::zeros({1, 1, 1, 2})), ContainsSubstring("[conv2d]"));
  CHECK_THROWS_WITH(ops::conv2d(x, Tensor::zeros({1, 1, 1, 1}), {}, {{0}, {0}, {1}}), ContainsSubstring("stride is 0"));
  CHECK_THROWS_WITH(ops::conv3d(x, Tensor::zeros({1, 1, 1, 1})), ContainsSubstring("[conv3d]"));
}
