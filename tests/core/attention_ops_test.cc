// Gradients of attention, rope, compressors and indexer by finite differences, and their refusals.
#include <cmath>

#include "core/base/random.h"
#include "core/ops/attention.h"
#include "tests/support/catch.h"
#include "tests/support/gradient_check.h"

using namespace orrery;
using test::check_gradients;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, float deviation = 1.0f) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random, deviation);
}

// Per query a few distinct entries in ascending order, with −1 after them.
Tensor some_indices(std::int64_t batch, std::int64_t queries, std::int64_t count, std::int64_t entries) {
  const Tensor indices = Tensor::empty({batch, queries, count}, DType::i32);
  for (std::int64_t i = 0; i < batch * queries; ++i)
    for (std::int64_t k = 0; k < count; ++k)
      indices.data<std::int32_t>()[i * count + k] =
          static_cast<std::int32_t>(k + 1 < count || i % 2 ? (i * 3 + k) % entries : -1);
  return indices;
}

}  // namespace

TEST_CASE("gradients of sparse_attention", "[attention][gradient]") {
  const std::int64_t batch = 2, steps = 11, heads = 3, dim = 6, rate = 2;
  const bool with_entries = GENERATE(false, true), with_indices = GENERATE(false, true),
             with_sinks = GENERATE(false, true);
  if (with_indices && !with_entries) return;
  const Tensor indices = with_indices ? some_indices(batch, steps, 3, steps / rate) : Tensor();
  ops::SparseAttentionOptions options;
  options.window = 4;
  options.rate = rate;
  options.scale = 0.4f;
  check_gradients(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::sparse_attention(in[0], in[1], in[2], indices, in[3], options).out};
      },
      {normal({batch, steps, heads, dim}, 1), normal({batch, steps, dim}, 2),
       with_entries ? normal({batch, steps / rate, dim}, 3) : Tensor(), with_sinks ? normal({heads}, 4) : Tensor()},
      3);
}

TEST_CASE("a later chunk of queries gives the rows of the whole", "[attention]") {
  const std::int64_t steps = 23, heads = 2, dim = 8, rate = 4, window = 5, first = 13;
  const Tensor q = normal({1, steps, heads, dim}, 1), kv = normal({1, steps, dim}, 2),
               entries = normal({1, steps / rate, dim}, 3), sinks = normal({heads}, 4);
  ops::SparseAttentionOptions options;
  options.window = window;
  options.rate = rate;
  options.scale = 0.35f;
  const auto whole = ops::sparse_attention(q, kv, entries, {}, sinks, options).out.to_vector();
  const std::int64_t kept = first - window + 1;  // the oldest key that a later query sees
  options.query_start = first;
  options.kv_start = kept;
  const Tensor late_q = q.alias({1, steps - first, heads, dim}, q.strides(), first * heads * dim);
  const Tensor late_kv = kv.alias({1, steps - kept, dim}, kv.strides(), kept * dim);
  const auto late = ops::sparse_attention(late_q, late_kv, entries, {}, sinks, options).out.to_vector();
  for (std::size_t i = 0; i < late.size(); ++i)
    CHECK(late[i] == Approx(whole[i + static_cast<std::size_t>(first * heads * dim)]).epsilon(1e-5).margin(1e-6));
}

TEST_CASE("the mass of all entries and the window is one without a sink", "[attention]") {
  const std::int64_t steps = 12, heads = 3, dim = 4;
  const Tensor q = normal({1, steps, heads, dim}, 1), kv = normal({1, steps, dim}, 2);
  ops::SparseAttentionOptions options;
  options.window = 1;
  options.rate = 1;  // entries: the tokens before, and the query's own as kv
  options.scale = 0.5f;
  options.entry_start = 0;
  const auto result = ops::sparse_attention(q, kv, kv, {}, {}, options);
  const auto mass = ops::entry_mass(q, kv, {}, result.lse, options).to_vector();
  for (std::int64_t t = 0; t < steps; ++t) {
    double total = 0;
    for (std::int64_t i = 0; i < steps; ++i) total += double{mass[static_cast<std::size_t>(t * steps + i)]};
    double own = 0;
    for (std::int64_t h = 0; h < heads; ++h) {
      double score = 0;
      for (std::int64_t i = 0; i < dim; ++i)
        score += double{q.data<float>()[(t * heads + h) * dim + i]} * double{kv.data<float>()[t * dim + i]};
      own += std::exp(0.5 * score - double{result.lse.data<float>()[t * heads + h]});
    }
    CHECK(total + own == Approx(static_cast<double>(heads)).epsilon(1e-5));
  }
}

TEST_CASE("gradients of rope, and its inverse undoes it", "[rope][gradient]") {
  const Tensor angles = normal({5, 2}, 9);
  const Tensor cos = Tensor::empty({5, 2}), sin = Tensor::empty({5, 2});
  for (int i = 0; i < 10; ++i) {
    cos.data<float>()[i] = std::cos(angles.data<float>()[i]);
    sin.data<float>()[i] = std::sin(angles.data<float>()[i]);
  }
  const bool inverse = GENERATE(false, true);
  const Tensor x = normal({2, 5, 3, 7}, 1);
  check_gradients(
      [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::rope(in[0], cos, sin, inverse)}; }, {x});
  const auto back = ops::rope(ops::rope(x, cos, sin, inverse), cos, sin, !inverse).to_vector(), start = x.to_vector();
  for (std::size_t i = 0; i < back.size(); ++i) CHECK(back[i] == Approx(start[i]).margin(1e-6));
}

TEST_CASE("gradients of compress_pool", "[compress][gradient]") {
  const bool overlap = GENERATE(false, true);
  const std::int64_t rate = 3, width = overlap ? 8 : 5;
  check_gradients(
      [&](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{ops::compress_pool(in[0], in[1], in[2], {rate, overlap})};
      },
      {normal({2, 11, width}, 1), normal({2, 11, width}, 2), normal({rate, width}, 3)});
}

TEST_CASE("compress_pool goes on from the window before", "[compress]") {
  const std::int64_t rate = 4, width = 6, steps = 16;
  const Tensor kv = normal({1, steps, width}, 1), gate = normal({1, steps, width}, 2), bias = normal({rate, width}, 3);
  const auto whole = ops::compress_pool(kv, gate, bias, {rate, true}).to_vector();
  const auto part = [&](const Tensor& x, std::int64_t from, std::int64_t count) {
    return x.alias({1, count, width}, x.strides(), from * width);
  };
  const auto late =
      ops::compress_pool(part(kv, 8, 8), part(gate, 8, 8), bias, {rate, true}, part(kv, 4, 4), part(gate, 4, 4));
  CHECK(late.to_vector() == std::vector<float>(whole.begin() + 2 * width / 2, whole.end()));
}

TEST_CASE("gradients of index_scores and index_kl", "[indexer][gradient]") {
  const bool with_indices = GENERATE(false, true);
  const std::int64_t batch = 2, steps = 7, heads = 2, dim = 3, rate = 2, entries = steps / rate;
  const Tensor indices = with_indices ? some_indices(batch, steps, 2, entries) : Tensor();
  // Shifted so that no product comes near ReLU's corner within the step.
  const Tensor q = normal({batch, steps, heads, dim}, 1), k = normal({batch, entries, dim}, 2),
               w = normal({batch, steps, heads}, 3);
  for (std::int64_t i = 0; i < q.numel(); ++i) q.data<float>()[i] = 1.5f + std::abs(q.data<float>()[i]);
  for (std::int64_t i = 0; i < k.numel(); ++i)
    k.data<float>()[i] = (i / dim % 3 == 0 ? -1.0f : 1.0f) * (0.5f + std::abs(k.data<float>()[i]));
  const Tensor mass = Tensor::full({batch, steps, with_indices ? 2 : entries}, 0.25f);
  for (std::int64_t i = 0; i < mass.numel(); ++i) mass.data<float>()[i] += 0.1f * static_cast<float>(i % 5);
  const auto kl = [&](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ops::index_kl(ops::index_scores(in[0], in[1], in[2], indices, {rate, 0}), mass)};
  };
  check_gradients(kl, {q, k, w}, 1, 1.0 / 256);
}

TEST_CASE("index_top_k: ties go to the lowest entry, invisible ones are −1", "[indexer]") {
  const Tensor q = Tensor::full({1, 9, 1, 1}, 1.0f), w = Tensor::full({1, 9, 1}, 1.0f);
  const Tensor k = Tensor::from({1, 3, 3, 2}, {1, 4, 1});
  const Tensor indices = ops::index_top_k(q, k, w, 2, {2, 0});
  const std::int32_t* found = indices.data<std::int32_t>();
  const std::int32_t expected[9][2] = {{-1, -1}, {0, -1}, {0, -1}, {0, 1}, {0, 1}, {1, 2}, {1, 2}, {1, 2}, {1, 2}};
  for (int t = 0; t < 9; ++t) {
    INFO("query " << t);
    CHECK(found[2 * t] == expected[t][0]);
    CHECK(found[2 * t + 1] == expected[t][1]);
  }
  const Tensor negative = Tensor::full({1, 9, 1, 1}, -1.0f);  // ReLU: every score is zero
  CHECK(ops::index_top_k(negative, k, w, 2, {2, 0}).data<std::int32_t>()[16] == 0);
  CHECK(ops::index_top_k(negative, k, w, 2, {2, 0}).data<std::int32_t>()[17] == 1);
}

TEST_CASE("index_kl is zero for the target itself and for rows without mass", "[indexer]") {
  const float none = -std::numeric_limits<float>::infinity();
  const Tensor scores = Tensor::from({std::log(0.2f), std::log(0.6f), none, 1, 2, 3, none, none, none}, {3, 3});
  const Tensor mass = Tensor::from({1, 3, 0, 0, 0, 0, 0, 0, 0}, {3, 3});
  for (const float loss : ops::index_kl(scores, mass).to_vector()) CHECK(loss == Approx(0).margin(1e-6));
}

TEST_CASE("attention operations name what is wrong", "[attention]") {
  const Tensor q = normal({1, 4, 2, 8}, 1), kv = normal({1, 4, 8}, 2);
  ops::SparseAttentionOptions options;
  CHECK_THROWS_WITH(ops::sparse_attention(q, kv, {}, {}, {}, options), ContainsSubstring("window is 0"));
  options.window = 2;
  CHECK_THROWS_WITH(ops::sparse_attention(q, normal({1, 4, 6}, 2), {}, {}, {}, options),
                    ContainsSubstring("kv is f32 [1, 4, 6]"));
  CHECK_THROWS_WITH(ops::sparse_attention(q, kv, {}, Tensor::zeros({1, 4, 2}, DType::i32), {}, options),
                    ContainsSubstring("indices without entries"));
  CHECK_THROWS_WITH(ops::rope(q, normal({4, 5}, 1), normal({4, 5}, 1)), ContainsSubstring("10 dims"));
  CHECK_THROWS_AS(ops::compress_pool(kv, kv, normal({3, 8}, 1), {2, false}), InputError);
}
