// Plain-loop references of kernels/api/indexer.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/api/indexer.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/reference.h"

namespace orrery {

namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

template <class Args>
std::int64_t visible_entries(const Args& args, std::int64_t t) {
  return std::clamp<std::int64_t>((args.query_start + t + 1) / args.rate, 0, args.k.shape[1]);
}

template <class T, class Args>
double dot(const Args& args, std::int64_t b, std::int64_t q_row, std::int64_t entry) {
  const std::int64_t dim = args.q.shape[3];
  double sum = 0;
  for (std::int64_t i = 0; i < dim; ++i)
    sum += at<T>(args.q, q_row * dim + i) * at<T>(args.k, (b * args.k.shape[1] + entry) * dim + i);
  return sum;
}

template <class T, class Args>
double score(const Args& args, std::int64_t b, std::int64_t t, std::int64_t entry) {
  const std::int64_t heads = args.q.shape[2];
  double sum = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    const std::int64_t q_row = (b * args.q.shape[1] + t) * heads + h;
    sum += at<float>(args.w, q_row) * std::max(0.0, dot<T>(args, b, q_row, entry));
  }
  return sum;
}

template <class T>
void top_k(const IndexTopKArgs& args) {
  const std::int64_t queries = args.q.shape[1], count = args.indices.shape[2];
  for (std::int64_t b = 0; b < args.q.shape[0]; ++b)
    for (std::int64_t t = 0; t < queries; ++t) {
      const std::int64_t visible = visible_entries(args, t);
      std::vector<float> scores;
      for (std::int64_t e = 0; e < visible; ++e) {
        const float s = static_cast<float>(score<T>(args, b, t, e));
        scores.push_back(std::isnan(s) ? -std::numeric_limits<float>::infinity() : s);
      }
      std::vector<std::int32_t> order(scores.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::int32_t x, std::int32_t y) { return scores[idx(x)] > scores[idx(y)]; });
      order.resize(std::min(order.size(), idx(count)));
      std::sort(order.begin(), order.end());
      order.resize(idx(count), -1);
      std::copy(order.begin(), order.end(), args.indices.as<std::int32_t>() + (b * queries + t) * count);
    }
}

// The entry at column c of row (b, t), or −1.
template <class Args>
std::int64_t entry_at(const Args& args, std::int64_t columns, std::int64_t b, std::int64_t t, std::int64_t c) {
  const std::int64_t entry =
      args.indices ? args.indices.template as<const std::int32_t>()[(b * args.q.shape[1] + t) * columns + c] : c;
  return entry >= 0 && entry < visible_entries(args, t) ? entry : -1;
}

template <class T>
void scores(const IndexScoresArgs& args) {
  const std::int64_t queries = args.q.shape[1], columns = args.scores.shape[2];
  for (std::int64_t b = 0; b < args.q.shape[0]; ++b)
    for (std::int64_t t = 0; t < queries; ++t)
      for (std::int64_t c = 0; c < columns; ++c) {
        const std::int64_t entry = entry_at(args, columns, b, t, c);
        put<float>(args.scores, (b * queries + t) * columns + c, entry < 0 ? kNone : score<T>(args, b, t, entry));
      }
}

template <class T>
void scores_backward(const IndexScoresBackwardArgs& args) {
  const std::int64_t queries = args.q.shape[1], heads = args.q.shape[2], dim = args.q.shape[3];
  const std::int64_t columns = args.grad_scores.shape[2];
  std::vector<double> grad_q = zeros(args.q.numel()), grad_k = zeros(args.k.numel()), grad_w = zeros(args.w.numel());
  for (std::int64_t row = 0; row < args.q.shape[0] * queries * columns; ++row) {
    const std::int64_t b = row / columns / queries, t = row / columns % queries;
    const std::int64_t entry = entry_at(args, columns, b, t, row % columns);
    if (entry < 0) continue;
    const double g = at<float>(args.grad_scores, row);
    const std::int64_t key = (b * args.k.shape[1] + entry) * dim;
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t q_row = (b * queries + t) * heads + h;
      const double product = dot<T>(args, b, q_row, entry);
      if (product <= 0) continue;
      grad_w[idx(q_row)] += g * product;
      const double grad_dot = g * at<float>(args.w, q_row);
      for (std::int64_t i = 0; i < dim; ++i) {
        grad_q[idx(q_row * dim + i)] += grad_dot * at<T>(args.k, key + i);
        grad_k[idx(key + i)] += grad_dot * at<T>(args.q, q_row * dim + i);
      }
    }
  }
  for (std::int64_t i = 0; i < args.q.numel(); ++i) put<T>(args.grad_q, i, grad_q[idx(i)]);
  for (std::int64_t i = 0; i < args.k.numel(); ++i) put<T>(args.grad_k, i, grad_k[idx(i)]);
  for (std::int64_t i = 0; i < args.w.numel(); ++i) put<float>(args.grad_w, i, grad_w[idx(i)]);
}

struct KlRow {
  double top = kNone, total = 0, mass = 0;  // of the scores' softmax, and of the target
};

KlRow kl_row(const TensorView& scores, const TensorView& mass, std::int64_t first, std::int64_t count) {
  KlRow row;
  for (std::int64_t i = first; i < first + count; ++i) row.top = std::max(row.top, at<float>(scores, i));
  for (std::int64_t i = first; i < first + count; ++i) {
    if (at<float>(scores, i) == kNone) continue;
    row.total += std::exp(at<float>(scores, i) - row.top);
    row.mass += at<float>(mass, i);
  }
  return row;
}

void kl(const IndexKlArgs& args) {
  const std::int64_t count = args.scores.shape[1];
  for (std::int64_t r = 0; r < args.scores.shape[0]; ++r) {
    const KlRow row = kl_row(args.scores, args.mass, r * count, count);
    double loss = 0;
    for (std::int64_t i = r * count; i < (r + 1) * count; ++i) {
      const double s = at<float>(args.scores, i), m = at<float>(args.mass, i);
      if (s == kNone || m <= 0 || row.mass <= 0) continue;
      loss += m / row.mass * (std::log(m / row.mass) - (s - row.top - std::log(row.total)));
    }
    put<float>(args.loss, r, loss);
  }
}

void kl_backward(const IndexKlBackwardArgs& args) {
  const std::int64_t count = args.scores.shape[1];
  for (std::int64_t r = 0; r < args.scores.shape[0]; ++r) {
    const KlRow row = kl_row(args.scores, args.mass, r * count, count);
    for (std::int64_t i = r * count; i < (r + 1) * count; ++i) {
      const double s = at<float>(args.scores, i);
      const bool counts = s != kNone && row.mass > 0;
      const double share = counts ? std::exp(s - row.top) / row.total - at<float>(args.mass, i) / row.mass : 0;
      put<float>(args.grad_scores, i, share * at<float>(args.grad_loss, r));
    }
  }
}

}  // namespace

void add_indexer_reference_kernels() {
  add_kernel<IndexTopKArgs>(Device::cpu, "reference", [](const IndexTopKArgs& args) {
    with_float_type(args.q.dtype, [&]<class T>() { top_k<T>(args); });
  });
  add_kernel<IndexScoresArgs>(Device::cpu, "reference", [](const IndexScoresArgs& args) {
    with_float_type(args.q.dtype, [&]<class T>() { scores<T>(args); });
  });
  add_kernel<IndexScoresBackwardArgs>(Device::cpu, "reference", [](const IndexScoresBackwardArgs& args) {
    with_float_type(args.q.dtype, [&]<class T>() { scores_backward<T>(args); });
  });
  add_kernel<IndexKlArgs>(Device::cpu, "reference", kl);
  add_kernel<IndexKlBackwardArgs>(Device::cpu, "reference", kl_backward);
}

}  // namespace orrery
