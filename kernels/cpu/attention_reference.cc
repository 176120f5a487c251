// Plain-loop references of kernels/api/attention.h: one query, one head, one key at a time, f64 sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/attention.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/reference.h"

namespace orrery {

namespace {

struct Row {
  bool entry;
  std::int64_t index;  // row of kv or of entries, within the batch
};

struct Sizes {
  std::int64_t batch, queries, heads, dim, keys, entries, picks;
};

template <class Args>
Sizes sizes_of(const Args& args) {
  return {args.q.shape[0],
          args.q.shape[1],
          args.q.shape[2],
          args.q.shape[3],
          args.kv.shape[1],
          args.entries ? args.entries.shape[1] : 0,
          args.indices ? args.indices.shape[2] : 0};
}

// The rows that query row t of batch b attends to.
template <class Args>
std::vector<Row> rows_of(const Args& args, const Sizes& n, std::int64_t b, std::int64_t t) {
  const SparseAttentionShape& shape = args.shape;
  const std::int64_t position = shape.query_start + t;
  std::vector<Row> rows;
  for (std::int64_t j = 0; j < n.keys; ++j) {
    const std::int64_t p = shape.kv_start + j;
    if (p <= position && p > position - shape.window) rows.push_back({false, j});
  }
  if (n.entries == 0) return rows;
  const std::int64_t visible = std::clamp<std::int64_t>((position + 1) / shape.rate - shape.entry_start, 0, n.entries);
  if (!args.indices) {
    for (std::int64_t i = 0; i < visible; ++i) rows.push_back({true, i});
    return rows;
  }
  const std::int32_t* picks = args.indices.template as<const std::int32_t>() + (b * n.queries + t) * n.picks;
  for (std::int64_t k = 0; k < n.picks; ++k)
    if (picks[k] >= 0 && picks[k] < visible) rows.push_back({true, picks[k]});
  return rows;
}

std::int64_t offset_of(const Row& row, const Sizes& n, std::int64_t b) {
  return (b * (row.entry ? n.entries : n.keys) + row.index) * n.dim;
}

template <class T, class Args>
double score(const Args& args, const Sizes& n, std::int64_t b, std::int64_t q_row, const Row& row) {
  const TensorView& keys = row.entry ? args.entries : args.kv;
  const std::int64_t key = offset_of(row, n, b);
  double sum = 0;
  for (std::int64_t i = 0; i < n.dim; ++i) sum += at<T>(args.q, q_row * n.dim + i) * at<T>(keys, key + i);
  return sum * double{args.shape.scale};
}

template <class T>
void forward_row(const SparseAttentionArgs& args, const Sizes& n, std::int64_t b, std::int64_t t,
                 const std::vector<Row>& rows) {
  for (std::int64_t h = 0; h < n.heads; ++h) {
    const std::int64_t q_row = (b * n.queries + t) * n.heads + h;
    const double sink = args.sinks ? at<float>(args.sinks, h) : -std::numeric_limits<double>::infinity();
    double top = sink;
    std::vector<double> scores;
    for (const Row& row : rows) scores.push_back(score<T>(args, n, b, q_row, row));
    for (const double s : scores) top = std::max(top, s);
    std::vector<double> out = zeros(n.dim);
    double total = std::isinf(top) ? 0 : std::exp(sink - top);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const double p = std::exp(scores[r] - top);
      const TensorView& values = rows[r].entry ? args.entries : args.kv;
      const std::int64_t value = offset_of(rows[r], n, b);
      total += p;
      for (std::int64_t i = 0; i < n.dim; ++i) out[idx(i)] += p * at<T>(values, value + i);
    }
    for (std::int64_t i = 0; i < n.dim; ++i) put<T>(args.out, q_row * n.dim + i, total > 0 ? out[idx(i)] / total : 0);
    put<float>(args.lse, q_row, total > 0 ? top + std::log(total) : -std::numeric_limits<double>::infinity());
  }
}

struct Gradients {
  std::vector<double> kv, entries, sinks;
};

template <class T>
void backward_row(const SparseAttentionBackwardArgs& args, const Sizes& n, std::int64_t b, std::int64_t t,
                  const std::vector<Row>& rows, Gradients& grads) {
  for (std::int64_t h = 0; h < n.heads; ++h) {
    const std::int64_t q_row = (b * n.queries + t) * n.heads + h;
    const std::int64_t q = q_row * n.dim;
    const double lse = at<float>(args.lse, q_row);
    double delta = 0;
    for (std::int64_t i = 0; i < n.dim; ++i) delta += at<T>(args.out, q + i) * at<T>(args.grad_out, q + i);
    if (args.sinks) grads.sinks[idx(h)] -= std::exp(at<float>(args.sinks, h) - lse) * delta;
    std::vector<double> grad_q = zeros(n.dim);
    for (const Row& row : rows) {
      const double p = std::exp(score<T>(args, n, b, q_row, row) - lse);
      const TensorView& keys = row.entry ? args.entries : args.kv;
      std::vector<double>& grad_keys = row.entry ? grads.entries : grads.kv;
      const std::int64_t key = offset_of(row, n, b);
      double grad_p = 0;
      for (std::int64_t i = 0; i < n.dim; ++i) grad_p += at<T>(args.grad_out, q + i) * at<T>(keys, key + i);
      const double grad_score = p * (grad_p - delta) * double{args.shape.scale};
      for (std::int64_t i = 0; i < n.dim; ++i) {
        grad_q[idx(i)] += grad_score * at<T>(keys, key + i);
        grad_keys[idx(key + i)] += grad_score * at<T>(args.q, q + i) + p * at<T>(args.grad_out, q + i);
      }
    }
    for (std::int64_t i = 0; i < n.dim; ++i) put<T>(args.grad_q, q + i, grad_q[idx(i)]);
  }
}

void forward(const SparseAttentionArgs& args) {
  const Sizes n = sizes_of(args);
  with_float_type(args.q.dtype, [&]<class T>() {
    for (std::int64_t b = 0; b < n.batch; ++b)
      for (std::int64_t t = 0; t < n.queries; ++t) forward_row<T>(args, n, b, t, rows_of(args, n, b, t));
  });
}

void backward(const SparseAttentionBackwardArgs& args) {
  const Sizes n = sizes_of(args);
  Gradients grads{zeros(n.batch * n.keys * n.dim), zeros(n.batch * n.entries * n.dim), zeros(n.heads)};
  with_float_type(args.q.dtype, [&]<class T>() {
    for (std::int64_t b = 0; b < n.batch; ++b)
      for (std::int64_t t = 0; t < n.queries; ++t) backward_row<T>(args, n, b, t, rows_of(args, n, b, t), grads);
    for (std::size_t i = 0; i < grads.kv.size(); ++i) put<T>(args.grad_kv, static_cast<std::int64_t>(i), grads.kv[i]);
    for (std::size_t i = 0; i < grads.entries.size(); ++i)
      put<T>(args.grad_entries, static_cast<std::int64_t>(i), grads.entries[i]);
  });
  if (args.grad_sinks)
    for (std::int64_t h = 0; h < n.heads; ++h) put<float>(args.grad_sinks, h, grads.sinks[idx(h)]);
}

template <class T>
double mass_of(const EntryMassArgs& args, std::int64_t b, std::int64_t t, std::int64_t entry) {
  const std::int64_t heads = args.q.shape[2], dim = args.q.shape[3];
  double mass = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    const std::int64_t q_row = (b * args.q.shape[1] + t) * heads + h;
    double sum = 0;
    for (std::int64_t i = 0; i < dim; ++i)
      sum += at<T>(args.q, q_row * dim + i) * at<T>(args.entries, (b * args.entries.shape[1] + entry) * dim + i);
    mass += std::exp(sum * double{args.shape.scale} - at<float>(args.lse, q_row));
  }
  return mass;
}

void entry_mass(const EntryMassArgs& args) {
  const std::int64_t queries = args.q.shape[1], entries = args.entries.shape[1], columns = args.mass.shape[2];
  for (std::int64_t b = 0; b < args.q.shape[0]; ++b)
    for (std::int64_t t = 0; t < queries; ++t) {
      const std::int64_t visible = std::clamp<std::int64_t>(
          (args.shape.query_start + t + 1) / args.shape.rate - args.shape.entry_start, 0, entries);
      for (std::int64_t k = 0; k < columns; ++k) {
        const std::int64_t at_k = (b * queries + t) * columns + k;
        const std::int64_t entry = args.indices ? args.indices.as<const std::int32_t>()[at_k] : k;
        double mass = 0;
        if (entry >= 0 && entry < visible)
          with_float_type(args.q.dtype, [&]<class T>() { mass = mass_of<T>(args, b, t, entry); });
        put<float>(args.mass, at_k, mass);
      }
    }
}

}  // namespace

void add_attention_reference_kernels() {
  add_kernel<SparseAttentionArgs>(Device::cpu, "reference", forward);
  add_kernel<SparseAttentionBackwardArgs>(Device::cpu, "reference", backward);
  add_kernel<EntryMassArgs>(Device::cpu, "reference", entry_mass);
}

}  // namespace orrery
