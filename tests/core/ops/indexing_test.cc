// Embedding, gather, scatter, top-k and sort.
#include "core/ops/indexing.h"

#include <cmath>

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

Tensor indices(Shape shape, std::int64_t end, std::int32_t low = 0) {
  Random random(9);
  std::vector<std::int32_t> values(static_cast<std::size_t>(numel(shape)));
  for (auto& value : values) value = static_cast<std::int32_t>(random.between(low, end - 1));
  return Tensor::from(values, std::move(shape));
}

}  // namespace

TEST_CASE("embedding agrees with its reference, repeated and skipped ids too", "[ops]") {
  for (const std::int64_t width : {1, 7, 64, 130})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const DType out : {DType::f32, DType::bf16})
        for (const Shape& shape : {Shape{50}, Shape{3, 4}, Shape{0}})
          check_op({.name = "embedding " + to_string(shape),
                    .inputs = {normal({11, width}, 1, dtype), indices(shape, 11, -1)},
                    .run = [out](const Tensors& in) { return Tensors{ops::embedding(in[0], in[1], out)}; },
                    .depth = 50,
                    .roundings = 2});
  CHECK_THROWS_WITH(ops::embedding(normal({3, 2}, 1), indices({4}, 5, 3)), ContainsSubstring("[embedding] index"));
  CHECK_THROWS_AS(ops::embedding(normal({3, 2}, 1), normal({4}, 1)), InputError);
}

TEST_CASE("embedding agrees with its reference for large tables, wide rows and common ids", "[ops]") {
  struct Case {
    std::int64_t rows, width, ids;
  };
  for (const auto& [rows, width, ids] : {Case{1301, 3, 5000}, Case{5, 1030, 40}})
    for (const DType out : {DType::f32, DType::bf16}) {
      const Tensor some = indices({ids}, rows, -1);
      std::vector<std::int32_t> skewed(some.data<std::int32_t>(), some.data<std::int32_t>() + ids);
      for (std::size_t i = 0; i < skewed.size(); ++i)
        if (i % 7 < 4) skewed[i] = i % 7 == 0 ? 4 : 1;
      check_op({.name = "embedding of " + std::to_string(rows),
                .inputs = {normal({rows, width}, 1), Tensor::from(skewed, {ids})},
                .run = [out](const Tensors& in) { return Tensors{ops::embedding(in[0], in[1], out)}; },
                .depth = ids,
                .roundings = 2});
    }
}

TEST_CASE("one_hot has a one at each index that is inside", "[ops]") {
  const Tensor table = Tensor::from(std::vector<std::int32_t>{2, 7, 0, 7, -1, 7, 3, 7}, {4, 2});
  check_op({.name = "one_hot of a column",
            .inputs = {table},
            .run = [](const Tensors& in) { return Tensors{ops::one_hot(in[0].alias({4}, {2}, 0), 3)}; },
            .gradient = false});
  CHECK(ops::one_hot(table.alias({4}, {2}, 0), 3).to_vector() ==
        std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK_THROWS_AS(ops::one_hot(table, 3), InputError);
}

TEST_CASE("gather, index_select and scatter_add agree with their references", "[ops]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = normal({3, 5, 4}, 1, dtype);
    for (const int dim : {0, 1, 2}) {
      Shape shape = x.shape();
      const std::int64_t size = shape[static_cast<std::size_t>(dim)];
      shape[static_cast<std::size_t>(dim)] = 6;
      check_op({.name = "gather",
                .inputs = {x, indices(shape, size)},
                .run = [dim](const Tensors& in) { return Tensors{ops::gather(in[0], dim, in[1])}; },
                .depth = 6,
                .roundings = 2});
      check_op({.name = "index_select",
                .inputs = {x, indices({6}, size)},
                .run = [dim](const Tensors& in) { return Tensors{ops::index_select(in[0], dim, in[1])}; },
                .depth = 6,
                .roundings = 2});
      // Each addition rounds to bf16.
      check_op({.name = "scatter_add",
                .inputs = {x, indices(shape, size), normal(shape, 2, dtype)},
                .run = [dim](const Tensors& in) { return Tensors{ops::scatter_add(in[0], dim, in[1], in[2])}; },
                .depth = 6,
                .roundings = 6});
    }
  }
  CHECK_THROWS_WITH(ops::gather(normal({2, 3}, 1), 1, indices({2, 2}, 9, 5)), ContainsSubstring("[gather] index"));
  CHECK_THROWS_WITH(ops::gather(normal({2, 3}, 1), 1, indices({3, 2}, 2)), ContainsSubstring("index is i32 [3, 2]"));
}

TEST_CASE("top_k and sort agree with their references", "[ops]") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto& [n, k] :
         {std::pair{1, 1}, std::pair{7, 3}, std::pair{100, 0}, std::pair{1000, 17}, std::pair{300, 300}})
      for (const bool ascending : {false, true})
        check_op({.name = "top_k " + std::to_string(k) + " of " + std::to_string(n),
                  .inputs = {normal({3, n}, 4, dtype)},
                  .run =
                      [k = k, ascending](const Tensors& in) {
                        const auto top = ops::top_k(in[0], k, ascending);
                        return Tensors{top.values, top.indices};
                      },
                  .step = 1.0 / 1048576});
}

TEST_CASE("top_k breaks ties by index and ranks NaN with the worst", "[ops]") {
  const Tensor x = Tensor::from({1, 3, NAN, 3, -INFINITY, 2, 3}, {1, 7});
  CHECK(ops::top_k(x, 5).indices.to_vector() == std::vector<float>{1, 3, 6, 5, 0});
  CHECK(ops::sort(x).indices.to_vector() == std::vector<float>{4, 0, 5, 1, 3, 6, 2});
  CHECK_THROWS_WITH(ops::top_k(x, 8), ContainsSubstring("[top_k] k is 8"));
}
