// The gradient that a choice of keys gets from the loss, against attention recomputed in double with each gate moved.
#include "core/ops/straight_through.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kBatch = 2, kSteps = 9, kHeads = 3, kDim = 6, kRate = 2, kEntries = kSteps / kRate, kWindow = 3,
                       kCount = 2;
constexpr float kScale = 0.4f;

Tensor normal(Shape shape, std::uint64_t seed) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random);
}

struct Case {
  Tensor q = normal({kBatch, kSteps, kHeads, kDim}, 1), kv = normal({kBatch, kSteps, kDim}, 2),
         entries = normal({kBatch, kEntries, kDim}, 3), sinks = normal({kHeads}, 4), seed = normal(q.shape(), 5);
  Tensor scores = normal({kBatch, kSteps, kEntries}, 6);  // −inf where not visible
  Tensor indices = Tensor::full({kBatch, kSteps, kCount}, -1, DType::i32);

  Case() {
    for (std::int64_t row = 0; row < kBatch * kSteps; ++row) {
      float* score = scores.data<float>() + row * kEntries;
      const std::int64_t visible = (row % kSteps + 1) / kRate;
      std::fill(score + visible, score + kEntries, -std::numeric_limits<float>::infinity());
      std::vector<std::int32_t> best;
      for (std::int32_t e = 0; e < visible; ++e) best.push_back(e);
      std::sort(best.begin(), best.end(), [&](std::int32_t a, std::int32_t b) { return score[a] > score[b]; });
      const auto end = best.begin() + std::min<std::ptrdiff_t>(kCount, std::ssize(best));
      std::sort(best.begin(), end);
      std::copy(best.begin(), end, indices.data<std::int32_t>() + row * kCount);
    }
  }
  bool chosen(std::int64_t row, std::int64_t entry) const {
    const std::int32_t* mine = indices.data<std::int32_t>() + row * kCount;
    return std::find(mine, mine + kCount, entry) != mine + kCount;
  }
  ops::AttentionResult attend() const {
    ops::SparseAttentionOptions options;
    options.window = kWindow, options.rate = kRate, options.scale = kScale;
    return ops::sparse_attention(q, kv, entries, indices, sinks, options);
  }
  // seed · output of one query, its gates given.
  double loss(std::int64_t row, const std::vector<double>& gates) const {
    const std::int64_t b = row / kSteps, t = row % kSteps;
    double total_loss = 0;
    for (std::int64_t h = 0; h < kHeads; ++h) {
      const float* mine = q.data<float>() + (row * kHeads + h) * kDim;
      double total = std::exp(double{sinks.data<float>()[h]});
      std::vector<double> sum(kDim, 0.0);
      const auto add = [&](const float* key, double gate) {
        double score = 0;
        for (std::int64_t i = 0; i < kDim; ++i) score += double{mine[i]} * double{key[i]};
        const double weight = gate * std::exp(double{kScale} * score);
        total += weight;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * double{key[i]};
      };
      for (std::int64_t s = std::max<std::int64_t>(0, t - kWindow + 1); s <= t; ++s)
        add(kv.data<float>() + (b * kSteps + s) * kDim, 1);
      for (std::int64_t e = 0; e < kEntries; ++e)
        add(entries.data<float>() + (b * kEntries + e) * kDim, gates[static_cast<std::size_t>(e)]);
      for (std::size_t i = 0; i < sum.size(); ++i)
        total_loss += sum[i] / total * double{seed.data<float>()[(row * kHeads + h) * kDim + static_cast<int>(i)]};
    }
    return total_loss;
  }
};

}  // namespace

TEST_CASE("the choice gets what opening and shutting its gates does to the loss", "[indexer][gradient]") {
  Case c;
  const ops::AttentionResult mixed = c.attend();
  const Tensor rows = c.entries.reshaped({kBatch, kEntries, 1, kDim});
  c.scores.set_requires_grad(true);
  const Tensor out = ops::straight_through(mixed.out, c.scores, {c.q, rows, rows, mixed.lse, c.indices, kScale});
  CHECK(out.to_vector() == mixed.out.to_vector());
  backward(out, c.seed);
  const std::vector<float> found = c.scores.grad().to_vector();
  for (std::int64_t row = 0; row < kBatch * kSteps; ++row) {
    const std::int64_t visible = (row % kSteps + 1) / kRate;
    const float* score = c.scores.data<float>() + row * kEntries;
    std::vector<double> gates(kEntries, 0.0);
    float worst = INFINITY, best = -INFINITY;
    for (std::int64_t e = 0; e < visible; ++e) {
      gates[static_cast<std::size_t>(e)] = c.chosen(row, e) ? 1 : 0;
      c.chosen(row, e) ? worst = std::min(worst, score[e]) : best = std::max(best, score[e]);
    }
    for (std::int64_t e = 0; e < kEntries; ++e) {
      double expected = 0;
      if (visible > kCount && e < visible) {
        const auto at = [&](double gate) {
          std::vector<double> moved = gates;
          moved[static_cast<std::size_t>(e)] = gate;
          return c.loss(row, moved);
        };
        const double gate = 1 / (1 + std::exp((double{worst} + double{best}) / 2 - double{score[e]}));
        expected = gate * (1 - gate) * (c.chosen(row, e) ? (at(1.001) - at(0.999)) / 0.002 : at(1) - at(0));
      }
      INFO("row " << row << ", entry " << e);
      // f32 sums of a few dozen terms of order one.
      CHECK(found[static_cast<std::size_t>(row * kEntries + e)] == Approx(expected).margin(2e-5));
    }
  }
}

TEST_CASE("key heads of their own give what the same key, repeated, gives", "[indexer][gradient]") {
  const Case c;
  const ops::AttentionResult mixed = c.attend();
  const Tensor shared = c.entries.reshaped({kBatch, kEntries, 1, kDim});
  const Tensor apart = ops::contiguous(ops::expand(shared, {kBatch, kEntries, kHeads, kDim}));
  std::vector<std::vector<float>> found;
  for (const Tensor& keys : {shared, apart}) {
    Tensor scores = c.scores.clone();
    scores.set_requires_grad(true);
    backward(ops::straight_through(mixed.out, scores, {c.q, keys, keys, mixed.lse, c.indices, kScale}), c.seed);
    found.push_back(scores.grad().to_vector());
  }
  for (std::size_t i = 0; i < found[0].size(); ++i) CHECK(found[0][i] == Approx(found[1][i]).margin(1e-6));
}

TEST_CASE("descending the loss, the choice finds the key that is wanted", "[indexer]") {
  // Each query sees eight keys at right angles and may have one; the loss wants key 5, whose score is the lowest.
  const std::int64_t steps = 4, keys = 8, dim = keys;
  const Tensor q = Tensor::zeros({1, steps, 1, dim}), kv = Tensor::zeros({1, steps, dim}),
               rows = Tensor::zeros({1, keys, dim});
  for (std::int64_t i = 0; i < keys; ++i) rows.data<float>()[i * dim + i] = 1;
  const Tensor wanted = rows.alias({1, 1, 1, dim}, {dim, dim, dim, 1}, 5 * dim);
  Tensor scores = Tensor::zeros({1, steps, keys});
  for (std::int64_t i = 0; i < scores.numel(); ++i)
    scores.data<float>()[i] = i % keys == 5 ? -0.5f : 0.1f * static_cast<float>((i * 5 + i / keys) % keys);
  scores.set_requires_grad(true);
  ops::SparseAttentionOptions options;
  options.window = 1, options.query_start = keys, options.kv_start = keys;
  Tensor indices = Tensor::zeros({1, steps, 1}, DType::i32);
  const auto choose = [&] {
    for (std::int64_t t = 0; t < steps; ++t) {
      const float* score = scores.data<float>() + t * keys;
      indices.data<std::int32_t>()[t] = static_cast<std::int32_t>(std::max_element(score, score + keys) - score);
    }
  };
  for (int step = 0; step < 200; ++step) {
    choose();
    const ops::AttentionResult mixed = ops::sparse_attention(q, kv, rows, indices, {}, options);
    const Tensor keys4 = rows.reshaped({1, keys, 1, dim});
    const Tensor out = ops::straight_through(mixed.out, scores, {q, keys4, keys4, mixed.lse, indices, options.scale});
    backward(ops::sum(ops::square(ops::sub(out, ops::scale(wanted, 0.5f)))));
    float* value = scores.data<float>();
    const Tensor grad = scores.grad();
    for (std::int64_t i = 0; i < scores.numel(); ++i) value[i] -= 0.5f * grad.data<float>()[i];
    scores.clear_grad();
  }
  choose();
  for (std::int64_t t = 0; t < steps; ++t) CHECK(indices.data<std::int32_t>()[t] == 5);
}

TEST_CASE("straight_through names what does not fit", "[indexer]") {
  const Case c;
  const ops::AttentionResult mixed = c.attend();
  const Tensor rows = c.entries.reshaped({kBatch, kEntries, 1, kDim});
  CHECK_THROWS_WITH(ops::straight_through(mixed.out, Tensor::zeros({1, 2, 3}), {c.q, rows, rows, mixed.lse, c.indices}),
                    ContainsSubstring("scores is f32 [1, 2, 3]"));
  CHECK_THROWS_WITH(
      ops::straight_through(mixed.out, c.scores,
                            {c.q, rows, c.entries.reshaped({1, kBatch * kEntries, 1, kDim}), mixed.lse, c.indices}),
      ContainsSubstring("values"));
}
