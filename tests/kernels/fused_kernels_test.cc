// The fast kernels beside attention against the plain loops: ones, primes, tails, f32 and bf16, one thread and two.
#include <cmath>

#include "core/base/random.h"
#include "core/ops/attention.h"
#include "core/ops/hyper_connection.h"
#include "core/ops/moe.h"
#include "core/ops/norm.h"
#include "tests/support/catch.h"
#include "tests/support/parity.h"

using namespace orrery;
using test::check_parity;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, DType dtype = DType::f32, float deviation = 1.0f) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random, deviation).to(dtype);
}

}  // namespace

TEST_CASE("rms_norm: fast against reference", "[norm][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t d = GENERATE(2, 7, 16, 64, 129, 384), rows = GENERATE(1, 300);
  const bool weighted = GENERATE(false, true);
  check_parity([](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::rms_norm(in[0], in[1])}; },
               {normal({rows, d}, 1, dtype), weighted ? normal({d}, 2) : Tensor()}, d + rows);
}

TEST_CASE("rms_norm of single values: fast against reference", "[norm][parity]") {
  check_parity(  // without its gradient, which is zero but for eps: nothing but rounding
      [](const std::vector<Tensor>& in) {
        const NoGrad guard;
        return std::vector<Tensor>{ops::rms_norm(in[0], in[1])};
      },
      {normal({300, 1}, 1), normal({1}, 2)}, 2);
}

TEST_CASE("rms_norm of no rows", "[norm][parity]") { CHECK(ops::rms_norm(Tensor::zeros({0, 5}), {}).numel() == 0); }

TEST_CASE("rope: fast against reference", "[rope][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t heads = GENERATE(1, 3, 8), dim = GENERATE(2, 9, 64), steps = 37;
  const std::int64_t pairs = dim == 64 ? 8 : dim / 2;
  const bool inverse = GENERATE(false, true);
  const Tensor cos = normal({steps, pairs}, 2), sin = normal({steps, pairs}, 3);
  check_parity([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::rope(in[0], cos, sin, inverse)}; },
               {normal({2, steps, heads, dim}, 1, dtype)}, 4);
}

TEST_CASE("compress_pool: fast against reference", "[compress][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const bool overlap = GENERATE(false, true);
  const std::int64_t rate = GENERATE(1, 4, 17), width = GENERATE(2, 24, 128), steps = GENERATE(0, 3, 150);
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::compress_pool(in[0], in[1], in[2], {rate, overlap})};
      },
      {normal({2, steps, width}, 1, dtype), normal({2, steps, width}, 2, dtype, 2.0f), normal({rate, width}, 3)},
      2 * rate + steps);
}

TEST_CASE("compress_pool with a window before: fast against reference", "[compress][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const Tensor prior_kv = normal({2, 4, 20}, 4, dtype), prior_gate = normal({2, 4, 20}, 5, dtype);
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const NoGrad guard;
        return std::vector<Tensor>{ops::compress_pool(in[0], in[1], in[2], {4, true}, prior_kv, prior_gate)};
      },
      {normal({2, 9, 20}, 1, dtype), normal({2, 9, 20}, 2, dtype), normal({4, 20}, 3)}, 20);
}

TEST_CASE("swiglu: fast against reference", "[moe][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const float limit = GENERATE(0.0f, 1.0f, 10.0f);
  const std::int64_t width = GENERATE(1, 31, 64), rows = GENERATE(1, 700);
  check_parity([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::swiglu(in[0], limit)}; },
               {normal({rows, 2 * width}, 1, dtype, 3.0f)}, 8);
  check_parity([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::swiglu(in[0], in[1], limit)}; },
               {normal({rows, width}, 1, dtype, 3.0f), normal({rows, width}, 2, dtype, 3.0f)}, 8);
}

TEST_CASE("moe_gather and moe_combine: fast against reference", "[moe][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t tokens = GENERATE(1, 233), d = GENERATE(1, 33, 96), count = 3, experts = 7;
  const Tensor ids = Tensor::empty({tokens, count}, DType::i32);
  Random random(5);
  for (std::int32_t& id : ids.span<std::int32_t>()) id = static_cast<std::int32_t>(random.below(experts));
  const ops::MoePlan plan = ops::moe_plan(ids, experts);
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::moe_combine(ops::moe_gather(in[0], plan), in[1], plan)};
      },
      {normal({tokens, d}, 1, dtype), normal({tokens, count}, 2)}, d + count);
}
