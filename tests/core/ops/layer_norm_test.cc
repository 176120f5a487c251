// Layer norm and group norm.
#include "core/ops/layer_norm.h"

#include "core/base/random.h"
#include "core/ops/elementwise.h"
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

// Groups have three elements or more: of two the gradient is 0, and nothing but rounding is left to compare.
TEST_CASE("layer norm agrees with its reference", "[ops]") {
  for (const Shape& shape : {Shape{1, 3}, Shape{5, 7}, Shape{2, 3, 131}, Shape{200, 64}, Shape{0, 8}})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const bool affine : {true, false})
        check_op({.name = "layer_norm " + to_string(shape),
                  .inputs = {normal(shape, 1, dtype), affine ? normal({shape.back()}, 2) : Tensor(),
                             affine ? normal({shape.back()}, 3) : Tensor()},
                  .run = [](const Tensors& in) { return Tensors{ops::layer_norm(in[0], in[1], in[2])}; },
                  .depth = 200,
                  .roundings = 4,
                  .step = 1.0 / 512});
}

TEST_CASE("group norm agrees with its reference", "[ops]") {
  for (const Shape& shape : {Shape{1, 3, 4}, Shape{3, 7, 12}, Shape{2, 5, 3, 20}, Shape{2, 130, 64}, Shape{0, 4, 8}})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const std::int64_t groups : {1, 2, 4})
        check_op({.name = "group_norm " + to_string(shape) + " in " + std::to_string(groups),
                  .inputs = {normal(shape, 1, dtype), normal({shape.back()}, 2), normal({shape.back()}, 3)},
                  .run = [groups](const Tensors& in) { return Tensors{ops::group_norm(in[0], groups, in[1], in[2])}; },
                  .depth = 8320,
                  .roundings = 4,
                  .step = 1.0 / 512});
}

TEST_CASE("norms keep a small variance around a large mean", "[ops]") {
  const Tensor x = ops::affine(normal({1, 50, 8}, 4), 0.01f, 100.0f);
  for (const float value : ops::group_norm(x, 2, {}, {}).to_vector()) CHECK(std::abs(value) < 6);
  CHECK_THROWS_WITH(ops::group_norm(x, 3, {}, {}), ContainsSubstring("[group_norm]"));
  CHECK_THROWS_WITH(ops::layer_norm(x, normal({7}, 1), {}), ContainsSubstring("weight is f32 [7]"));
}
