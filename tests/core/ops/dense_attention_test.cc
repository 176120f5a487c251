// Plain attention: causal or not, grouped heads, masks, slices of one projection.
#include "core/ops/dense_attention.h"

#include <cmath>

#include "core/base/random.h"
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

}  // namespace

TEST_CASE("dense attention agrees with its reference", "[ops][attention]") {
  struct Row {
    std::int64_t batch, queries, keys, heads, key_heads, depth, width;
  };
  const Row rows[] = {{1, 1, 1, 1, 1, 4, 4},    {1, 1, 3, 1, 1, 4, 4},     {2, 7, 7, 2, 2, 8, 6},
                      {1, 5, 13, 4, 2, 16, 16}, {1, 150, 150, 1, 1, 8, 8}, {1, 3, 1100, 1, 1, 8, 8},
                      {1, 9, 4, 2, 1, 4, 4}};
  for (const auto& r : rows)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const bool causal : {false, true})
        check_op({.name = "dense_attention of " + std::to_string(r.queries) + " x " + std::to_string(r.keys),
                  .inputs = {normal({r.batch, r.queries, r.heads, r.depth}, 1, dtype),
                             normal({r.batch, r.keys, r.key_heads, r.depth}, 2, dtype),
                             normal({r.batch, r.keys, r.key_heads, r.width}, 3, dtype)},
                  .run =
                      [causal](const Tensors& in) {
                        return Tensors{ops::dense_attention(in[0], in[1], in[2], {causal, 0.0f})};
                      },
                  .depth = 1100,
                  .roundings = 4,
                  // One key: the gradients of q and k are 0, and nothing but rounding is left to compare.
                  .gradient = r.keys > 1});
}

TEST_CASE("dense attention takes masks and slices of one projection", "[ops][attention]") {
  std::vector<float> values(5 * 5, 0.0f);
  values[1] = values[7] = -INFINITY;
  for (std::size_t i = 10; i < 15; ++i) values[i] = -INFINITY;  // query 2 sees nothing
  values[20] = 1.5f;
  const Tensor mask = Tensor::from(values, {5, 5});
  for (const DType dtype : {DType::f32, DType::bf16})
    check_op({.name = "dense_attention of slices",
              .inputs = {normal({2, 5, 3, 2, 8}, 1, dtype)},
              .run =
                  [&](const Tensors& in) {
                    const Tensors parts = ops::split(ops::reshape(in[0], {2, 5, 6, 8}), 2, {2, 2, 2});
                    return Tensors{ops::dense_attention(parts[0], parts[1], parts[2], {}, mask)};
                  },
              .depth = 16,
              .roundings = 4});
  CHECK_THROWS_WITH(ops::dense_attention(normal({1, 2, 3, 4}, 1), normal({1, 2, 2, 4}, 1), normal({1, 2, 2, 4}, 1)),
                    ContainsSubstring("H a multiple of Hk"));
}
