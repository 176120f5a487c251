#include "core/ops/straight_through.h"

#include <algorithm>
#include <limits>

#include "core/autograd/autograd.h"
#include "core/ops/checks.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"

namespace orrery::ops {

namespace {

// Queries at once: bounds the memory of [queries, H, N].
constexpr std::int64_t kQueries = 256;

// [B, S, N] f32: 1 where a key is chosen; and [B, S, 1]: τ, or what makes σ' zero where all visible keys are chosen.
struct Choice {
  Tensor chosen, threshold;
};

Choice choice_of(const Tensor& device_scores, const Tensor& device_indices) {
  constexpr float kNone = std::numeric_limits<float>::infinity();
  const Tensor scores = packed(device_scores.to(Device::cpu)), indices = packed(device_indices.to(Device::cpu));
  const std::int64_t keys = scores.dim(2), count = indices.dim(2), rows = scores.dim(0) * scores.dim(1);
  const Tensor chosen = Tensor::zeros(scores.shape()), threshold = Tensor::empty({scores.dim(0), scores.dim(1), 1});
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* score = scores.data<float>() + r * keys;
    float* mine = chosen.data<float>() + r * keys;
    for (std::int64_t i = 0; i < count; ++i)
      if (const std::int32_t key = indices.data<std::int32_t>()[r * count + i]; key >= 0) mine[key] = 1;
    float worst = kNone, best = -kNone;
    for (std::int64_t s = 0; s < keys; ++s)
      mine[s] > 0 ? worst = std::min(worst, score[s]) : best = std::max(best, score[s]);
    threshold.data<float>()[r] = best > -kNone && worst < kNone ? worst + 0.5f * (best - worst) : -1e30f;
  }
  return {chosen.to(device_scores.device()), threshold.to(device_scores.device())};
}

// [R·H / Hk, Hk, D] · [Hk, N, D] → [R, H, N], in f32.
Tensor products(const Tensor& rows, const Tensor& keys) {
  const std::int64_t count = rows.dim(0), heads = rows.dim(1), groups = keys.dim(0);
  // Query heads of one key head lie one behind the other.
  const Tensor split = reshape(rows, {count, groups, heads / groups, rows.dim(2)});
  const Tensor apart = contiguous(permute(split, {0, 2, 1, 3}));
  const Tensor found = batched_linear(reshape(apart, {count * (heads / groups), groups, rows.dim(2)}), keys);
  const Tensor back = permute(reshape(found, {count, heads / groups, groups, keys.dim(1)}), {0, 2, 1, 3});
  return reshape(contiguous(back), {count, heads, keys.dim(1)});
}

// Some queries of one sequence: [R, N].
Tensor gate_gradient(const Tensor& q, const Tensor& lse, const Tensor& out, const Tensor& grad, const Tensor& keys,
                     const Tensor& values, const Tensor& chosen, float scale) {
  const std::int64_t rows = q.dim(0), count = chosen.dim(1);
  const Tensor x = sub(ops::scale(products(q, keys), scale), reshape(lse, {rows, q.dim(1), 1}));
  const Tensor alone = sigmoid(x);
  // e^x = σ / (1 − σ) for the chosen: x ≤ 0 there, and a key left out cannot overflow.
  const Tensor share = div(alone, affine(mul(reshape(chosen, {rows, 1, count}), alone), -1.0f, 1.0f));
  const Tensor gain = sub(products(grad, values), sum(mul(grad, out), {2}, /*keep=*/true));
  return sum(mul(share, gain), {1});
}

// Sequence b of x [B, S, …] as f32, its rows [first, first + count).
Tensor part(const Tensor& x, std::int64_t b, std::int64_t first, std::int64_t count) {
  const Tensor mine = narrow(narrow(x, 0, b, 1), 1, first, count);
  Shape shape(x.shape().begin() + 1, x.shape().end());
  shape[0] = count;
  return reshape(cast(contiguous(mine), DType::f32), shape);
}

Tensor scores_gradient(const Tensor& grad, const Tensor& out, const Tensor& scores, const ChosenKeys& in) {
  const NoGrad guard;
  const std::int64_t length = scores.dim(1);
  const Choice choice = choice_of(scores, in.indices);
  std::vector<Tensor> sequences;
  for (std::int64_t b = 0; b < scores.dim(0); ++b) {
    const auto by_head = [&](const Tensor& x) { return contiguous(permute(part(x, b, 0, x.dim(1)), {1, 0, 2})); };
    const Tensor keys = by_head(in.keys), values = by_head(in.values);
    std::vector<Tensor> blocks;
    for (std::int64_t first = 0; first < length; first += kQueries) {
      const std::int64_t count = std::min(kQueries, length - first);
      const auto rows = [&](const Tensor& x) { return part(x, b, first, count); };
      const Tensor gate = sigmoid(sub(rows(scores), rows(choice.threshold)));
      const Tensor slope = mul(gate, affine(gate, -1.0f, 1.0f));
      blocks.push_back(mul(slope, gate_gradient(rows(in.q), rows(in.lse), rows(out), rows(grad), keys, values,
                                                rows(choice.chosen), in.scale)));
    }
    sequences.push_back(reshape(concat(blocks, 0), {1, length, scores.dim(2)}));
  }
  return concat(sequences, 0);
}

}  // namespace

Tensor straight_through(const Tensor& out, const Tensor& scores, const ChosenKeys& in) {
  const char* op = "straight_through";
  check_float(op, "out", out, 4, "[B, S, H, Dv]");
  check_float(op, "q", in.q, 4, "[B, S, H, D]");
  check_float(op, "keys", in.keys, 4, "[B, N, Hk, D]");
  const std::int64_t batch = out.dim(0), length = out.dim(1), heads = out.dim(2), count = in.keys.dim(1);
  check_is(op, "q", in.q, in.q.dtype(), {batch, length, heads, in.keys.dim(3)});
  check_is(op, "values", in.values, in.keys.dtype(), {batch, count, in.keys.dim(2), out.dim(3)});
  ORRERY_CHECK(in.keys.dim(0) == batch && in.keys.dim(2) > 0 && heads % in.keys.dim(2) == 0, "[", op, "] keys is ",
               described(in.keys), ", expected ", batch, " sequences and a divisor of ", heads, " heads");
  check_is(op, "scores", scores, DType::f32, {batch, length, count});
  check_is(op, "lse", in.lse, DType::f32, {batch, length, heads});
  check_is(op, "indices", in.indices, DType::i32,
           {batch, length, in.indices.defined() && in.indices.rank() == 3 ? in.indices.dim(2) : -1});
  if (!needs_tape({&scores})) return out;
  const Tensor result = out.detach();
  const ChosenKeys kept{in.q.detach(),   in.keys.detach(),    in.values.detach(),
                        in.lse.detach(), in.indices.detach(), in.scale};
  record(op, {out, scores}, {result},
         [kept, saved = out.detach(), scores = scores.detach()](const std::vector<Tensor>& grads) {
           return std::vector<Tensor>{grads[0], scores_gradient(grads[0], saved, scores, kept)};
         });
  return result;
}

}  // namespace orrery::ops
