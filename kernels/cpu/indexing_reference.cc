// The plain-loop references of embedding, gather, scatter and top-k.
#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/api/indexing.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

void embedding_reference(const EmbeddingArgs& args) {
  const std::int64_t d = args.y.shape[1];
  for (std::int64_t row = 0; row < args.y.shape[0]; ++row) {
    const std::int64_t id = args.ids.as<const std::int32_t>()[row];
    for (std::int64_t i = 0; i < d; ++i) store(args.y, row * d + i, id < 0 ? 0 : load(args.table, id * d + i));
  }
}

// Sums in f64, so a table row of bf16 is rounded once.
void embedding_backward_reference(const EmbeddingBackwardArgs& args) {
  const std::int64_t n = args.grad_y.shape[0], d = args.grad_y.shape[1], rows = args.grad_table.shape[0];
  const auto* ids = args.ids.as<const std::int32_t>();
  for (std::int64_t id = 0; id < rows; ++id)
    for (std::int64_t i = 0; i < d; ++i) {
      double sum = load(args.grad_table, id * d + i);
      bool hit = false;
      for (std::int64_t row = 0; row < n; ++row) {
        if (ids[row] != id) continue;
        hit = true;
        sum += load(args.grad_y, row * d + i) * (args.scale ? load(args.scale, row) : 1);
      }
      if (hit) store(args.grad_table, id * d + i, sum);
    }
}

void gather_reference(const GatherArgs& args) {
  const std::int64_t size = args.x.shape[1], count = args.y.shape[1], inner = args.y.shape[2];
  for (std::int64_t o = 0; o < args.y.shape[0]; ++o)
    for (std::int64_t j = 0; j < count; ++j)
      for (std::int64_t i = 0; i < inner; ++i) {
        const std::int64_t at = (o * count + j) * inner + i;
        store(args.y, at, load(args.x, (o * size + args.index.as<const std::int32_t>()[at]) * inner + i));
      }
}

void scatter_add_reference(const ScatterAddArgs& args) {
  const std::int64_t size = args.y.shape[1], count = args.x.shape[1], inner = args.y.shape[2];
  for (std::int64_t o = 0; o < args.y.shape[0]; ++o)
    for (std::int64_t j = 0; j < count; ++j)
      for (std::int64_t i = 0; i < inner; ++i) {
        const std::int64_t from = (o * count + j) * inner + i;
        const std::int64_t to = (o * size + args.index.as<const std::int32_t>()[from]) * inner + i;
        store(args.y, to, load(args.y, to) + load(args.x, from));
      }
}

void top_k_reference(const TopKArgs& args) {
  const std::int64_t n = args.x.shape[1], k = args.values.shape[1];
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (std::int64_t row = 0; row < args.x.shape[0]; ++row) {
    const auto key = [&](std::int32_t i) {
      const double value = load(args.x, row * n + i);
      if (value != value) return -std::numeric_limits<double>::infinity();
      return args.ascending ? -value : value;
    };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return key(a) > key(b); });
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int32_t index = order[static_cast<std::size_t>(j)];
      args.indices.as<std::int32_t>()[row * k + j] = index;
      store(args.values, row * k + j, load(args.x, row * n + index));
    }
  }
}

}  // namespace

void add_indexing_references() {
  add_kernel<EmbeddingArgs>(Device::cpu, "reference", embedding_reference);
  add_kernel<EmbeddingBackwardArgs>(Device::cpu, "reference", embedding_backward_reference);
  add_kernel<GatherArgs>(Device::cpu, "reference", gather_reference);
  add_kernel<ScatterAddArgs>(Device::cpu, "reference", scatter_add_reference);
  add_kernel<TopKArgs>(Device::cpu, "reference", top_k_reference);
}

}  // namespace orrery
