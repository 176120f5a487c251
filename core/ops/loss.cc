#include "core/ops/loss.h"

#include <algorithm>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "kernels/api/copy.h"
#include "kernels/api/matmul.h"
#include "kernels/api/softmax.h"

namespace orrery::ops {

namespace {

// Bytes of f32 logits that may live at a time: what a CPU's caches like, and what fills a card.
constexpr std::int64_t chunk_bytes(Device device) { return std::int64_t{device == Device::cpu ? 32 : 1024} << 20; }

// The token weights divided by their sum over the targets that count, so that weighted losses add up to the mean.
// On the CPU, where batches come from.
Tensor normalised_weights(const char* op, const Tensor& targets, const Tensor& weights, std::int64_t tokens,
                          std::int64_t classes) {
  check_dtype(op, "targets", targets, DType::i32);
  ORRERY_CHECK(targets.shape() == Shape{tokens}, "[", op, "] targets are ", describe(targets), ", expected i32 [",
               tokens, "]");
  ORRERY_CHECK(!weights.defined() || (weights.dtype() == DType::f32 && weights.shape() == Shape{tokens}), "[", op,
               "] weights are ", describe(weights), ", expected f32 [", tokens, "]");
  const Tensor result = Tensor::zeros({tokens});
  const Tensor dense_targets = dense(targets.to(Device::cpu)),
               dense_weights = weights.defined() ? dense(weights.to(Device::cpu)) : weights;
  double sum = 0;
  const auto* target = dense_targets.data<std::int32_t>();
  const float* given = weights.defined() ? dense_weights.data<float>() : nullptr;
  float* share = result.data<float>();
  for (std::int64_t t = 0; t < tokens; ++t) {
    ORRERY_CHECK(target[t] < classes, "[", op, "] target ", target[t], " at ", t, ", expected below ", classes);
    if (target[t] < 0) continue;
    share[t] = given ? given[t] : 1.0f;
    sum += double{share[t]};
  }
  const float factor = sum == 0 ? 0.0f : static_cast<float>(1 / sum);
  for (float& weight : result.span<float>()) weight *= factor;
  return result;
}

Tensor weighted_total(const Tensor& losses, const Tensor& weights) {
  if (losses.device() != Device::cpu) {
    const NoGrad guard;
    return sum(mul(losses, weights));
  }
  double total = 0;
  const float *loss = losses.data<float>(), *weight = weights.data<float>();
  for (std::int64_t t = 0; t < losses.numel(); ++t)
    if (weight[t] != 0.0f) total += double{loss[t]} * double{weight[t]};
  return Tensor::full({1}, static_cast<float>(total));
}

Tensor rows_of(const Tensor& x, std::int64_t first, std::int64_t count) {
  Shape shape = x.shape();
  shape[0] = count;
  return x.alias(std::move(shape), x.strides(), first * x.strides()[0]);
}

Tensor turned(const Tensor& x) { return x.alias({x.dim(1), x.dim(0)}, {x.strides()[1], x.strides()[0]}, 0); }

// x · factor, which has one element; undefined stays so. A device is not asked for the factor: that would wait for it.
Tensor times(const Tensor& x, const Tensor& factor) {
  if (!x.defined()) return x;
  if (x.device() != Device::cpu) return dense_as(mul(x, factor.reshaped({1})), x.dtype());
  return factor.item() == 1.0f ? x : scale(x, factor.item());
}

// What one pass over the tokens gives. The gradients are those of Σ weight·loss, where asked for.
struct HeadPass {
  Tensor losses, grad_hidden, grad_head;
};

HeadPass head_pass(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& weights,
                   bool wants_hidden, bool wants_head) {
  const std::int64_t tokens = hidden.dim(0), classes = head.dim(0);
  const Device device = hidden.device();
  HeadPass pass{Tensor::empty({tokens}, DType::f32, device), wants_hidden ? Tensor::empty_like(hidden) : Tensor(),
                wants_head ? Tensor::empty(head.shape(), DType::f32, device) : Tensor()};
  const std::int64_t most = std::max<std::int64_t>(1, chunk_bytes(device) / (4 * std::max<std::int64_t>(1, classes)));
  const std::int64_t chunks = std::max<std::int64_t>(1, (tokens + most - 1) / most);
  if (tokens == 0 && wants_head) run(FillArgs{pass.grad_head.view(), 0});
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t first = tokens * chunk / chunks, count = tokens * (chunk + 1) / chunks - first;
    if (count == 0) continue;
    const Tensor part = rows_of(hidden, first, count), logits = Tensor::empty({count, classes}, DType::f32, device);
    run(MatmulArgs{part.view(), turned(head).view(), {}, logits.view(), Activation::none, false});
    const Tensor grad = !wants_hidden && !wants_head   ? Tensor()
                        : hidden.dtype() == DType::f32 ? logits
                                                       : Tensor::empty({count, classes}, hidden.dtype(), device);
    run(CrossEntropyArgs{logits.view(), rows_of(targets, first, count).view(), rows_of(weights, first, count).view(),
                         rows_of(pass.losses, first, count).view(), grad.view()});
    if (wants_hidden)
      run(MatmulArgs{
          grad.view(), head.view(), {}, rows_of(pass.grad_hidden, first, count).view(), Activation::none, false});
    if (wants_head)
      run(MatmulArgs{turned(grad).view(), part.view(), {}, pass.grad_head.view(), Activation::none, chunk > 0});
  }
  return pass;
}

}  // namespace

HeadLoss cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights) {
  check_floating("cross_entropy", "logits", logits);
  ORRERY_CHECK(logits.rank() == 2 && logits.dim(1) > 0, "[cross_entropy] logits are ", describe(logits),
               ", expected [tokens, classes]");
  const Tensor shares =
      normalised_weights("cross_entropy", targets, weights, logits.dim(0), logits.dim(1)).to(logits.device());
  const bool taped = needs_tape({&logits});
  const Tensor losses = Tensor::empty({logits.dim(0)}, DType::f32, logits.device()),
               grad = taped ? Tensor::empty_like(logits) : Tensor(), places = dense(targets).to(logits.device());
  run(CrossEntropyArgs{dense(logits).view(), places.view(), shares.view(), losses.view(), grad.view()});
  const Tensor total = weighted_total(losses, shares);
  if (taped)
    record("cross_entropy", {logits}, {total},
           [grad](const std::vector<Tensor>& grads) { return std::vector<Tensor>{times(grad, grads[0])}; });
  return {total, losses};
}

HeadLoss linear_cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& weights) {
  check_floating("linear_cross_entropy", "hidden", hidden);
  check_floating("linear_cross_entropy", "head", head);
  ORRERY_CHECK(hidden.rank() == 2 && head.rank() == 2 && hidden.dim(1) == head.dim(1) && head.dim(0) > 0,
               "[linear_cross_entropy] hidden is ", describe(hidden), ", head is ", describe(head),
               ", expected [tokens, d] and [vocabulary, d]");
  ORRERY_CHECK(head.dtype() == hidden.dtype() || head.dtype() == DType::f32, "[linear_cross_entropy] hidden is ",
               describe(hidden), ", head is ", describe(head), ", expected f32 or hidden's dtype");
  const Tensor shares =
      normalised_weights("linear_cross_entropy", targets, weights, hidden.dim(0), head.dim(0)).to(hidden.device());
  const bool taped = needs_tape({&hidden, &head});
  const HeadPass pass = head_pass(dense(hidden), dense_as(head, hidden.dtype()), dense(targets).to(hidden.device()),
                                  shares, taped && hidden.requires_grad(), taped && head.requires_grad());
  const Tensor total = weighted_total(pass.losses, shares);
  if (taped)
    record("linear_cross_entropy", {hidden, head}, {total},
           [grad_hidden = pass.grad_hidden, grad_head = pass.grad_head,
            head_type = head.dtype()](const std::vector<Tensor>& grads) {
             const Tensor head_grad = times(grad_head, grads[0]);
             return std::vector<Tensor>{times(grad_hidden, grads[0]),
                                        head_grad.defined() ? dense_as(head_grad, head_type) : head_grad};
           });
  return {total, pass.losses};
}

}  // namespace orrery::ops
