// The plain-loop reference of dense attention.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/dense_attention.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

std::int64_t row(const TensorView& view, std::int64_t b, std::int64_t t, std::int64_t h) {
  return b * view.strides[0] + t * view.strides[1] + h * view.strides[2];
}

double dot(const TensorView& x, std::int64_t i, const TensorView& y, std::int64_t j, std::int64_t count) {
  double sum = 0;
  for (std::int64_t d = 0; d < count; ++d) sum += load(x, i + d) * load(y, j + d);
  return sum;
}

constexpr double kUnseen = -std::numeric_limits<double>::infinity();

// The scaled and masked scores of one query against all keys; −∞ where not seen.
template <class Args>
std::vector<double> scores(const Args& args, std::int64_t b, std::int64_t t, std::int64_t h) {
  const std::int64_t keys = args.k.shape[1], last = args.causal ? t + keys - args.q.shape[1] : keys - 1;
  const std::int64_t key_head = h / (args.q.shape[2] / args.k.shape[2]);
  std::vector<double> result(static_cast<std::size_t>(keys), kUnseen);
  for (std::int64_t s = 0; s <= std::min(last, keys - 1); ++s)
    result[static_cast<std::size_t>(s)] =
        double{args.scale} * dot(args.q, row(args.q, b, t, h), args.k, row(args.k, b, s, key_head), args.q.shape[3]) +
        (args.mask ? load(args.mask, t * keys + s) : 0.0);
  return result;
}

template <class Body>
void for_queries(const TensorView& q, const Body& body) {
  for (std::int64_t b = 0; b < q.shape[0]; ++b)
    for (std::int64_t t = 0; t < q.shape[1]; ++t)
      for (std::int64_t h = 0; h < q.shape[2]; ++h) body(b, t, h);
}

void forward(const DenseAttentionArgs& args) {
  const std::int64_t width = args.v.shape[3], group = args.q.shape[2] / args.k.shape[2];
  for_queries(args.q, [&](std::int64_t b, std::int64_t t, std::int64_t h) {
    const std::vector<double> score = scores(args, b, t, h);
    double max = kUnseen, sum = 0;
    for (const double value : score) max = std::max(max, value);
    std::vector<double> total(static_cast<std::size_t>(width), 0.0);
    for (std::size_t s = 0; s < score.size() && max > kUnseen; ++s) {
      const double weight = std::exp(score[s] - max);
      sum += weight;
      for (std::int64_t d = 0; d < width; ++d)
        total[static_cast<std::size_t>(d)] +=
            weight * load(args.v, row(args.v, b, static_cast<std::int64_t>(s), h / group) + d);
    }
    for (std::int64_t d = 0; d < width; ++d)
      store(args.out, row(args.out, b, t, h) + d, sum == 0 ? 0 : total[static_cast<std::size_t>(d)] / sum);
    store(args.lse, (b * args.q.shape[1] + t) * args.q.shape[2] + h, sum == 0 ? kUnseen : max + std::log(sum));
  });
}

void backward(const DenseAttentionBackwardArgs& args) {
  const std::int64_t depth = args.q.shape[3], width = args.v.shape[3], group = args.q.shape[2] / args.k.shape[2];
  std::vector<double> grad_k(static_cast<std::size_t>(args.grad_k.numel()), 0.0),
      grad_v(static_cast<std::size_t>(args.grad_v.numel()), 0.0);
  for_queries(args.q, [&](std::int64_t b, std::int64_t t, std::int64_t h) {
    const std::vector<double> score = scores(args, b, t, h);
    const double lse = load(args.lse, (b * args.q.shape[1] + t) * args.q.shape[2] + h);
    const std::int64_t q = row(args.q, b, t, h), grad_out = row(args.grad_out, b, t, h);
    const double delta = dot(args.out, row(args.out, b, t, h), args.grad_out, grad_out, width);
    std::vector<double> grad_q(static_cast<std::size_t>(depth), 0.0);
    for (std::size_t s = 0; s < score.size(); ++s) {
      if (score[s] == kUnseen) continue;
      const auto key = static_cast<std::int64_t>(s);
      const double weight = std::exp(score[s] - lse);
      const double slope = weight *
                           (dot(args.v, row(args.v, b, key, h / group), args.grad_out, grad_out, width) - delta) *
                           double{args.scale};
      for (std::int64_t d = 0; d < depth; ++d) {
        grad_q[static_cast<std::size_t>(d)] += slope * load(args.k, row(args.k, b, key, h / group) + d);
        grad_k[static_cast<std::size_t>(row(args.grad_k, b, key, h / group) + d)] += slope * load(args.q, q + d);
      }
      for (std::int64_t d = 0; d < width; ++d)
        grad_v[static_cast<std::size_t>(row(args.grad_v, b, key, h / group) + d)] +=
            weight * load(args.grad_out, grad_out + d);
    }
    for (std::int64_t d = 0; d < depth; ++d)
      store(args.grad_q, row(args.grad_q, b, t, h) + d, grad_q[static_cast<std::size_t>(d)]);
  });
  for (std::size_t i = 0; i < grad_k.size(); ++i) store(args.grad_k, static_cast<std::int64_t>(i), grad_k[i]);
  for (std::size_t i = 0; i < grad_v.size(); ++i) store(args.grad_v, static_cast<std::int64_t>(i), grad_v[i]);
}

}  // namespace

void add_dense_attention_references() {
  add_kernel<DenseAttentionArgs>(Device::cpu, "reference", forward);
  add_kernel<DenseAttentionBackwardArgs>(Device::cpu, "reference", backward);
}

}  // namespace orrery
