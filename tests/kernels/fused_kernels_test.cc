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

// A table on the device of the inputs.
Tensor beside(const Tensor& x, const std::vector<Tensor>& in) { return x.defined() ? x.to(in[0].device()) : x; }

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
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::rope(in[0], beside(cos, in), beside(sin, in), inverse)};
      },
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
        return std::vector<Tensor>{
            ops::compress_pool(in[0], in[1], in[2], {4, true}, beside(prior_kv, in), beside(prior_gate, in))};
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
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const ops::MoePlan plan = ops::moe_plan(beside(ids, in), experts);
        return std::vector<Tensor>{ops::moe_combine(ops::moe_gather(in[0], plan), in[1], plan)};
      },
      {normal({tokens, d}, 1, dtype), normal({tokens, count}, 2)}, d + count);
}

TEST_CASE("route: fast against reference", "[moe][parity]") {
  RouteOptions options;
  options.score = GENERATE(RouterScore::sqrt_softplus, RouterScore::sigmoid, RouterScore::softmax);
  options.normalize = GENERATE(false, true);
  options.scaling = 2.5f;
  const std::int64_t experts = GENERATE(8, 24, 120), count = GENERATE(1, 6), tokens = 40;
  const bool grouped = GENERATE(false, true), biased = GENERATE(false, true);
  if (grouped) {
    options.groups = 8;
    options.kept_groups = experts == 8 ? 6 : 3;
  }
  const Tensor bias = biased ? normal({experts}, 2, DType::f32, 0.1f) : Tensor();
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const ops::Routing routing = ops::route(in[0], beside(bias, in), {}, count, options);
        return std::vector<Tensor>{routing.weights, routing.scores, routing.ids};
      },
      {normal({tokens, experts}, 1, DType::f32, 3.0f)}, 16 + experts);
}

TEST_CASE("route: of equal scores the lowest experts win, in the fast kernel too", "[moe]") {
  const ops::Routing routing = ops::route(Tensor::zeros({3, 40}), {}, {}, 4, {});
  for (int i = 0; i < 12; ++i) CHECK(routing.ids.data<std::int32_t>()[i] == i % 4);
}

TEST_CASE("hyper-connections: fast against reference", "[mhc][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t n = GENERATE(1, 2, 4, 5), d = GENERATE(1, 9, 48), tokens = GENERATE(1, 67, 530);
  const bool head = GENERATE(false, true);
  if (tokens == 530 && d != 9) return;
  const std::int64_t fn_rows = head ? n : (2 + n) * n;
  ops::HyperConnectionOptions options;
  options.eps = 1e-3f;
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const ops::HyperConnection hc = ops::hc_pre(in[0], in[1], in[2], in[3], options);
        return head ? std::vector<Tensor>{hc.h} : std::vector<Tensor>{hc.h, hc.post, hc.comb};
      },
      {normal({tokens, n, d}, 1, dtype), normal({fn_rows, n * d}, 2, DType::f32, 0.3f), normal({fn_rows}, 3),
       normal({head ? 1 : 3}, 4)},
      n * d + fn_rows + 3 * options.iterations * n + tokens,
      dtype == DType::bf16 && !head ? 1 : 0);  // three outputs' shares of the gradient of x, before they are added
  if (head) return;
  check_parity(
      [](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::hc_post(in[0], in[1], in[2], in[3])}; },
      {normal({tokens, n, d}, 1, dtype), normal({tokens, d}, 2, dtype), normal({tokens, n}, 3),
       normal({tokens, n, n}, 4)},
      n + d);
}

TEST_CASE("index_top_k: fast against reference", "[indexer][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t heads = GENERATE(1, 4, 9), dim = GENERATE(3, 32), steps = GENERATE(5, 310), rate = GENERATE(1, 4);
  const std::int64_t count = GENERATE(1, 7, 64), entries = steps / rate;
  if (entries == 0) return;
  // Small whole numbers: sums are exact in any order, so the choice must agree, ties included.
  const auto whole = [&](Shape shape, std::uint64_t seed) {
    Tensor x = normal(std::move(shape), seed, DType::f32, 1.5f);
    for (float& v : x.span<float>()) v = std::round(v);
    return x;
  };
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::index_top_k(in[0], in[1], in[2], count, {rate, 3})};
      },
      {whole({2, steps, heads, dim}, 1).to(dtype), whole({2, entries, dim}, 2).to(dtype), whole({2, steps, heads}, 3)},
      1);
}

TEST_CASE("index_scores and index_kl: fast against reference", "[indexer][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t heads = GENERATE(1, 4, 17), dim = GENERATE(5, 32), steps = 190, rate = 4, entries = steps / rate;
  const bool picked = GENERATE(false, true);
  const Tensor q = normal({2, steps, heads, dim}, 1, dtype), k = normal({2, entries, dim}, 2, dtype),
               w = normal({2, steps, heads}, 3);
  const Tensor indices = picked ? ops::index_top_k(q, k, w, 9, {rate, 0}) : Tensor();
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::index_scores(in[0], in[1], in[2], beside(indices, in), {rate, 0})};
      },
      {q, k, w}, dim + heads + entries);
  const Tensor scores = ops::index_scores(q, k, w, indices, {rate, 0});
  Tensor mass = normal(scores.shape(), 7);
  for (float& v : mass.span<float>()) v = std::max(0.0f, v);
  check_parity(
      [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::index_kl(in[0], beside(mass, in))}; },
      {scores},
      entries + 100);  // scores of tens: their rounding is the weights'
}

TEST_CASE("entry_mass: fast against reference", "[indexer][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const std::int64_t heads = GENERATE(1, 8, 17), steps = 150, dim = 24;
  ops::SparseAttentionOptions options;
  options.window = 20;
  options.rate = 4;
  options.scale = 0.3f;
  const Tensor lse = Tensor::full({1, steps, heads}, 4.0f);
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::entry_mass(in[0], in[1], {}, beside(lse, in), options)};
      },
      {normal({1, steps, heads, dim}, 1, dtype), normal({1, steps / 4, dim}, 2, dtype)}, 4 * dim + heads);
}
