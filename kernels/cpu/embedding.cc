// Embedding rows: copied or converted, and their gradients summed row by row in the order of the ids.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/api/bfloat16.h"
#include "kernels/api/indexing.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

bool floating(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

template <class X, class Y>
void embedding_typed(const EmbeddingArgs& args) {
  const std::int64_t d = args.y.shape[1];
  const auto* ids = args.ids.as<const std::int32_t>();
  parallel_blocks(args.y.shape[0], std::max<std::int64_t>(1, (1 << 14) / std::max<std::int64_t>(1, d)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t row = begin; row < end; ++row) {
                      Y* y = args.y.as<Y>() + row * d;
                      if (ids[row] < 0) {
                        std::memset(static_cast<void*>(y), 0, static_cast<std::size_t>(d) * sizeof(Y));
                        continue;
                      }
                      const X* x = args.table.as<const X>() + ids[row] * d;
                      for (std::int64_t i = 0; i < d; ++i) {
                        if constexpr (std::is_same_v<X, Y>)
                          y[i] = x[i];
                        else
                          y[i] = from_float<Y>(to_float(x[i]));
                      }
                    }
                  });
}

const char* embedding_supports(const EmbeddingArgs& args) {
  return floating(args.table.dtype) && floating(args.y.dtype) ? nullptr : "dtype is neither f32 nor bf16";
}

void embedding(const EmbeddingArgs& args) {
  const bool from_half = args.table.dtype == DType::bf16, to_half = args.y.dtype == DType::bf16;
  if (from_half) return to_half ? embedding_typed<BFloat16, BFloat16>(args) : embedding_typed<BFloat16, float>(args);
  to_half ? embedding_typed<float, BFloat16>(args) : embedding_typed<float, float>(args);
}

// Rows of ids by value: places[starts[v] … starts[v + 1]) are the rows with id v, rising.
struct RowsById {
  std::vector<std::int32_t> starts, places;
};

RowsById rows_by_id(const std::int32_t* ids, std::int64_t count, std::int64_t values) {
  RowsById result;
  result.starts.assign(static_cast<std::size_t>(values) + 1, 0);
  for (std::int64_t r = 0; r < count; ++r)
    if (ids[r] >= 0) ++result.starts[static_cast<std::size_t>(ids[r]) + 1];
  for (std::size_t v = 1; v < result.starts.size(); ++v) result.starts[v] += result.starts[v - 1];
  result.places.resize(static_cast<std::size_t>(result.starts.back()));
  std::vector<std::int32_t> next(result.starts.begin(), result.starts.end() - 1);
  for (std::int64_t r = 0; r < count; ++r)
    if (ids[r] >= 0)
      result.places[static_cast<std::size_t>(next[static_cast<std::size_t>(ids[r])]++)] = static_cast<std::int32_t>(r);
  return result;
}

template <class T>
void embedding_backward_typed(const EmbeddingBackwardArgs& args) {
  const std::int64_t d = args.grad_y.shape[1];
  const RowsById rows = rows_by_id(args.ids.as<const std::int32_t>(), args.grad_y.shape[0], args.grad_table.shape[0]);
  const float* scale = args.scale.as<const float>();
  parallel_blocks(args.grad_table.shape[0], 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t id = begin; id < end; ++id) {
      float* sum = args.grad_table.as<float>() + id * d;
      for (std::int32_t p = rows.starts[static_cast<std::size_t>(id)];
           p < rows.starts[static_cast<std::size_t>(id) + 1]; ++p) {
        const std::int32_t row = rows.places[static_cast<std::size_t>(p)];
        const T* grad = args.grad_y.as<const T>() + row * d;
        const float factor = scale ? scale[row] : 1.0f;
        for (std::int64_t i = 0; i < d; ++i) sum[i] += to_float(grad[i]) * factor;
      }
    }
  });
}

const char* embedding_backward_supports(const EmbeddingBackwardArgs& args) {
  if (args.grad_table.dtype != DType::f32) return "the table's gradient is not f32";
  return floating(args.grad_y.dtype) ? nullptr : "dtype is neither f32 nor bf16";
}

void embedding_backward(const EmbeddingBackwardArgs& args) {
  args.grad_y.dtype == DType::bf16 ? embedding_backward_typed<BFloat16>(args) : embedding_backward_typed<float>(args);
}

}  // namespace

void add_embedding_kernels() {
  add_kernel<EmbeddingArgs>(Device::cpu, "rows", embedding, embedding_supports);
  add_kernel<EmbeddingBackwardArgs>(Device::cpu, "rows", embedding_backward, embedding_backward_supports);
}

}  // namespace orrery
