// The fast attention kernels against the plain loops: odd sizes, tails, every kind of key, f32 and bf16, one thread and
// two.
#include <algorithm>
#include <cmath>

#include "core/base/random.h"
#include "core/ops/attention.h"
#include "core/ops/dense_attention.h"
#include "core/ops/shape.h"
#include "kernels/api/ceilings.h"
#include "tests/support/catch.h"
#include "tests/support/parity.h"

using namespace orrery;
using test::check_parity;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, DType dtype) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random).to(dtype);
}

// A table on the device of the inputs.
Tensor beside(const Tensor& x, const std::vector<Tensor>& in) { return x.defined() ? x.to(in[0].device()) : x; }

struct Case {
  std::int64_t batch, steps, heads, dim, window, rate, picks;  // rate 0: no entries; picks 0: all of them
  bool sinks;
  std::int64_t query_start = 0, kv_start = 0, entry_start = 0;
  // Rows that are there, where not all: keys of positions from kv_start on, entries from entry_start on.
  std::int64_t keys() const { return query_start + steps - kv_start; }
  std::int64_t entries() const {
    return rate ? std::max<std::int64_t>(0, (query_start + steps) / rate - entry_start) : 0;
  }
};

// Tensor cores take bf16 without picks. They round weights (which reach the gradients through out) and slopes.
int device_rounding(const Case& c, DType dtype) {
  return dtype == DType::bf16 && c.picks == 0 && c.dim % 8 == 0 && c.dim <= 128 ? 2 : 0;
}

// Distinct entries in scattered order, some invisible, some −1.
Tensor scattered(const Case& c, std::int64_t entries) {
  const Tensor indices = Tensor::full({c.batch, c.steps, c.picks}, -1, DType::i32);
  Random random(8);
  for (std::int64_t row = 0; row < c.batch * c.steps; ++row)
    for (std::int64_t k = 0; k < std::min(c.picks, entries); ++k)
      if (!random.chance(0.1))
        indices.data<std::int32_t>()[row * c.picks + k] =
            static_cast<std::int32_t>((row * 5 + k * (entries > 7 ? 7 : 1)) % entries);
  // Steps of 7 are distinct unless 7 divides the number of entries: then drop what repeats.
  if (entries % 7 == 0 && entries > 7)
    for (std::int64_t row = 0; row < c.batch * c.steps; ++row)
      for (std::int64_t k = entries / 7; k < c.picks; ++k) indices.data<std::int32_t>()[row * c.picks + k] = -1;
  return indices;
}

}  // namespace

TEST_CASE("sparse_attention: fast against reference", "[attention][parity]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const Case c = GENERATE(
      Case{1, 1, 1, 1, 1, 0, 0, false}, Case{2, 37, 3, 7, 5, 4, 0, true}, Case{1, 131, 8, 32, 40, 4, 9, true},
      Case{1, 300, 4, 64, 272, 68, 0, true}, Case{2, 65, 5, 17, 64, 1, 33, false}, Case{1, 90, 20, 24, 17, 3, 6, true},
      Case{1, 13, 97, 16, 4, 2, 3, false}, Case{2, 77, 5, 32, 33, 3, 0, true}, Case{1, 530, 1, 96, 300, 1, 0, false});
  const std::int64_t entries = c.rate ? c.steps / c.rate : 0;
  INFO(c.steps << " steps, " << c.heads << " heads of " << c.dim << ", window " << c.window << ", rate " << c.rate);
  const Tensor indices = c.picks ? scattered(c, entries) : Tensor();
  ops::SparseAttentionOptions options;
  options.window = c.window;
  options.rate = std::max<std::int64_t>(1, c.rate);
  options.scale = 0.3f;
  const auto run = [&](const char* choice, int rounded) {
    check_parity(
        [&](const std::vector<Tensor>& in) {
          const auto result = ops::sparse_attention(in[0], in[1], in[2], beside(indices, in), in[3], options);
          return std::vector<Tensor>{result.out, result.lse};
        },
        {normal({c.batch, c.steps, c.heads, c.dim}, 1, dtype), normal({c.batch, c.steps, c.dim}, 2, dtype),
         entries ? normal({c.batch, entries, c.dim}, 3, dtype) : Tensor(),
         c.sinks ? normal({c.heads}, 4, DType::f32) : Tensor()},
        c.dim + c.window + entries + c.heads, rounded, choice);
  };
  if (test::device_under_test() != Device::cpu) return run("", device_rounding(c, dtype));
  run("*=simd", 0);
  // The tiles' products round weights and their gradients to bf16.
  if (dtype == DType::bf16) run("*=amx", 1);
}

namespace {

void check_tiles(const Case& c) {
  INFO(c.batch << " × " << c.steps << " steps, " << c.heads << " heads of " << c.dim << ", window " << c.window
               << ", rate " << c.rate << ", sinks " << c.sinks << ", from " << c.query_start << ", " << c.kv_start
               << ", " << c.entry_start);
  ops::SparseAttentionOptions options;
  options.window = c.window;
  options.rate = std::max<std::int64_t>(1, c.rate);
  options.scale = 0.3f;
  options.query_start = c.query_start;
  options.kv_start = c.kv_start;
  options.entry_start = c.entry_start;
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const auto result = ops::sparse_attention(in[0], in[1], in[2], {}, in[3], options);
        return std::vector<Tensor>{result.out, result.lse};
      },
      {normal({c.batch, c.steps, c.heads, c.dim}, 1, DType::bf16), normal({c.batch, c.keys(), c.dim}, 2, DType::bf16),
       c.entries() ? normal({c.batch, c.entries(), c.dim}, 3, DType::bf16) : Tensor(),
       c.sinks ? normal({c.heads}, 4, DType::f32) : Tensor()},
      c.dim + c.window + c.entries() + c.heads,
      test::device_under_test() == Device::cpu ? 1 : device_rounding(c, DType::bf16));
}

}  // namespace

TEST_CASE("sparse_attention: tiles of bf16", "[ops][attention][parity]") {
  check_tiles(GENERATE(Case{1, 1, 1, 32, 1, 0, 0, false}, Case{1, 9, 8, 32, 5, 0, 0, true},
                       Case{2, 37, 3, 32, 7, 4, 0, true}, Case{1, 21, 8, 64, 100, 2, 0, false},
                       Case{1, 19, 3, 128, 9, 1, 0, true}, Case{1, 23, 1, 40, 70, 1, 0, true},
                       Case{2, 17, 3, 32, 30, 4, 0, true, 1000, 975, 245},
                       Case{1, 6, 8, 64, 3, 5, 0, false, 4, 6, 0}));  // the first queries come before every key
}

TEST_CASE("sparse_attention: many tiles of bf16", "[attention][parity]") {
  check_tiles(GENERATE(Case{1, 301, 8, 32, 40, 2, 0, true}, Case{2, 133, 3, 64, 100, 1, 0, false},
                       Case{1, 150, 8, 128, 64, 3, 0, true}, Case{1, 203, 1, 96, 65, 0, 0, true},
                       Case{1, 333, 8, 64, 272, 68, 0, true}, Case{1, 90, 8, 64, 130, 4, 0, true, 5003, 4870, 1201}));
}

TEST_CASE("sparse_attention: a sequence cut into calls keeps its bits in bf16", "[ops][attention]") {
  const std::int64_t steps = 90, cut = 41, dim = 32, window = 33, rate = 2;
  const Device device = test::device_under_test();
  const Tensor q = normal({1, steps, 3, dim}, 1, DType::bf16).to(device),
               kv = normal({1, steps, dim}, 2, DType::bf16).to(device),
               entries = normal({1, steps / rate, dim}, 3, DType::bf16).to(device);
  ops::SparseAttentionOptions options;
  options.window = window;
  options.rate = rate;
  options.scale = 0.3f;
  const auto whole = ops::sparse_attention(q, kv, entries, {}, {}, options);
  options.query_start = cut;
  options.kv_start = cut - window + 1;
  const auto tail = [&](const Tensor& x, std::int64_t from) { return ops::narrow(x, 1, from, steps - from).clone(); };
  const auto later = ops::sparse_attention(tail(q, cut), tail(kv, options.kv_start), entries, {}, {}, options);
  CHECK(later.out.to_vector() == tail(whole.out.to(Device::cpu), cut).to_vector());
  // The sums of weights go by lanes, which a call's first key begins: they agree to a rounding.
  const std::vector<float> sums = later.lse.to_vector(), whole_sums = tail(whole.lse.to(Device::cpu), cut).to_vector();
  for (std::size_t i = 0; i < sums.size(); ++i) CHECK(std::abs(sums[i] - whole_sums[i]) <= 2e-7f * whole_sums[i]);
}

TEST_CASE("sparse_attention: a later chunk, kept keys and dropped entries", "[attention][parity]") {
  const bool picked = GENERATE(false, true);
  ops::SparseAttentionOptions options;
  options.window = 30;
  options.rate = 4;
  options.scale = 0.25f;
  options.query_start = 1000;
  options.kv_start = 960;
  options.entry_start = 200;
  const Tensor indices = picked ? scattered({1, 70, 4, 32, 30, 4, 5, true}, 66) : Tensor();
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const auto result = ops::sparse_attention(in[0], in[1], in[2], beside(indices, in), in[3], options);
        return std::vector<Tensor>{result.out, result.lse,
                                   ops::entry_mass(in[0], in[2], beside(indices, in), result.lse, options)};
      },
      {normal({1, 70, 4, 32}, 1, DType::f32), normal({1, 110, 32}, 2, DType::f32), normal({1, 66, 32}, 3, DType::f32),
       normal({4}, 4, DType::f32)},
      170);
}

TEST_CASE("sparse_attention: queries that see nothing give zeros", "[attention][parity]") {
  ops::SparseAttentionOptions options;
  options.window = 2;
  options.rate = 4;
  options.kv_start = 5;  // the first queries come before every key
  check_parity(
      [&](const std::vector<Tensor>& in) {
        const auto result = ops::sparse_attention(in[0], in[1], in[2], {}, {}, options);
        return std::vector<Tensor>{result.out, result.lse};
      },
      {normal({1, 9, 2, 8}, 1, DType::f32), normal({1, 4, 8}, 2, DType::f32), normal({1, 2, 8}, 3, DType::f32)}, 20);
}

TEST_CASE("scores far apart neither overflow nor vanish", "[attention][parity]") {
  ops::SparseAttentionOptions options;
  options.window = 50;
  options.scale = 20.0f;
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::sparse_attention(in[0], in[1], {}, {}, in[2], options).out};
      },
      {normal({1, 70, 2, 16}, 1, DType::f32), normal({1, 70, 16}, 2, DType::f32), normal({2}, 4, DType::f32)},
      20 * 80 * 4);  // a score of hundreds: its rounding is the weight's
}

// Blocks of queries and chunks of keys with remainders, on every kernel.
TEST_CASE("dense_attention: many blocks against reference", "[attention][parity][cpu]") {
  struct Row {
    std::int64_t batch, queries, keys, heads, key_heads, depth, width;
    bool causal, masked;
  };
  const Row r = GENERATE(Row{1, 203, 203, 2, 1, 20, 33, true, false}, Row{2, 97, 300, 1, 1, 32, 16, true, false},
                         Row{1, 300, 97, 1, 1, 16, 16, true, false}, Row{1, 100, 270, 2, 2, 16, 8, false, true},
                         Row{1, 800, 800, 1, 1, 8, 8, true, true});
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const char* kernel = GENERATE("*=simd", "*=onednn");
  INFO(r.queries << " × " << r.keys << ", " << r.heads << " heads of " << r.depth << ", " << kernel);
  Tensor mask;
  if (r.masked) {
    mask = normal({r.queries, r.keys}, 4, DType::f32);
    for (std::int64_t i = 0; i < mask.numel(); i += 3) mask.data<float>()[i] = -INFINITY;
    for (const std::int64_t blind : {std::int64_t{7}, r.queries / 2 + 5})
      std::fill_n(mask.data<float>() + blind * r.keys, r.keys, -INFINITY);
  }
  check_parity(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::dense_attention(in[0], in[1], in[2], {r.causal, 0.4f}, beside(mask, in))};
      },
      {normal({r.batch, r.queries, r.heads, r.depth}, 1, dtype),
       normal({r.batch, r.keys, r.key_heads, r.depth}, 2, dtype),
       normal({r.batch, r.keys, r.key_heads, r.width}, 3, dtype)},
      r.keys + r.queries + r.depth, dtype == DType::bf16 && has_bf16_products() ? 1 : 0, kernel);
}
