// Tensors: shapes, views, dtypes, and the pool behind them.
#include "core/tensor/tensor.h"

#include "core/tensor/allocator.h"
#include "tests/support/catch.h"

using namespace orrery;

TEST_CASE("a view shares storage and reads through its strides", "[tensor]") {
  const Tensor matrix = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor transposed = matrix.alias({3, 2}, {1, 3}, 0);
  CHECK_FALSE(transposed.contiguous());
  CHECK(transposed.to_vector() == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(transposed.clone().contiguous());
  matrix.data<float>()[1] = 20;
  CHECK(transposed.to_vector()[2] == 20);
  CHECK_THROWS_AS(transposed.data<float>(), InputError);
}

TEST_CASE("reshape infers one dimension and refuses what does not fit", "[tensor]") {
  const Tensor x = Tensor::zeros({4, 6});
  CHECK(x.reshaped({-1, 8}).shape() == Shape{3, 8});
  CHECK_THROWS_WITH(x.reshaped({5, -1}), "[reshape] [4, 6] does not fit [5, -1]");
  CHECK_THROWS_AS(x.reshaped({-1, -1}), InputError);
  CHECK_THROWS_AS(Tensor::empty({1 << 30, 1 << 30}), InputError);
  CHECK_THROWS_AS(Tensor::empty({-1}), InputError);
}

TEST_CASE("bf16 rounds to nearest even", "[tensor]") {
  // 1 + 2^-8 lies half way between two bf16 numbers; the even one is 1.
  const Tensor x = Tensor::from({1.00390625f, 1.01171875f, -3.0f}, {3}).to(DType::bf16);
  CHECK(x.to_vector() == std::vector<float>{1.0f, 1.015625f, -3.0f});
}

TEST_CASE("an empty tensor is a tensor", "[tensor]") {
  const Tensor none = Tensor::zeros({0, 5});
  CHECK(none.numel() == 0);
  CHECK(none.to_vector().empty());
  CHECK(none.clone().shape() == Shape{0, 5});
}

TEST_CASE("freed blocks are used again: a steady loop asks the system for nothing", "[tensor]") {
  { const Tensor warm = Tensor::empty({1000, 1000}); }
  const auto before = allocator_stats().fresh;
  for (int i = 0; i < 10; ++i) const Tensor again = Tensor::empty({1000, 1000});
  CHECK(allocator_stats().fresh == before);
}
