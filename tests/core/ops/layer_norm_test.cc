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

TEST_CASE("layer norm keeps digits where the first value is an outlier or the mean is large", "[ops]") {
  const std::int64_t d = GENERATE(5, 64, 259);
  const float offset = GENERATE(0.0f, 300.0f), first = GENERATE(0.0f, 100.0f, -4000.0f);
  Tensor x = ops::affine(normal({9, d}, 5), 1.0f, offset);
  for (std::int64_t r = 0; r < 9; r += 2) x.data<float>()[r * d] += first;
  // The mean is rounded to 2^-24 of the offset: up to twice that, 600 · 2^-24, in deviations.
  check_op({.name = "layer_norm of " + std::to_string(d) + " around " + std::to_string(offset),
            .inputs = {x},
            .run = [](const Tensors& in) { return Tensors{ops::layer_norm(in[0], {}, {})}; },
            .depth = offset == 0 ? 64 : 300 * 300,
            .gradient = false});
}

TEST_CASE("group norm keeps a small variance where the mean drifts", "[ops]") {
  Tensor x = normal({2, 300, 8}, 6);  // several blocks of positions, each around its own mean
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 200.0f + static_cast<float>(i / 8 % 300 / 64) * 3;
  check_op({.name = "group_norm of drifting means",
            .inputs = {x},
            .run = [](const Tensors& in) { return Tensors{ops::group_norm(in[0], 2, {}, {})}; },
            .depth = 4096,
            .gradient = false});
}

TEST_CASE("norms keep a small variance around a large mean", "[ops]") {
  const Tensor x = ops::affine(normal({1, 50, 8}, 4), 0.01f, 100.0f);
  for (const float value : ops::group_norm(x, 2, {}, {}).to_vector()) CHECK(std::abs(value) < 6);
  CHECK_THROWS_WITH(ops::group_norm(x, 3, {}, {}), ContainsSubstring("[group_norm]"));
  CHECK_THROWS_WITH(ops::layer_norm(x, normal({7}, 1), {}), ContainsSubstring("weight is f32 [7]"));
}
