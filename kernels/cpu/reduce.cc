// Reductions on Highway. Rows are cut into pieces of fixed length, pieces are reduced in parallel and put together in
// order in f64: the result depends on the shape alone.
#include "kernels/api/reduce.h"

#include <algorithm>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduce.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// The larger one; NaN where one is.
HWY_INLINE Vec larger(Vec a, Vec b) { return hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::Gt(a, b), a, b)); }

template <class T>
float max_of_row(const T* x, std::int64_t count) {
  Vec top = set(-std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) top = larger(load(x + i), top);
  float lanes[HWY_MAX_BYTES / sizeof(float)];
  store(top, lanes);
  float best = lanes[0];
  const auto take = [&best](float value) {
    best = best != best ? best : value != value || value > best ? value : best;
  };
  for (std::int64_t j = 1; j < kLanes; ++j) take(lanes[j]);
  for (; i < count; ++i) take(to_float(x[i]));
  return best;
}

template <bool kSquare, class T>
double sum_of_row(const T* x, std::int64_t count) {
  constexpr std::int64_t kBlock = 1024;  // f32 sums of so many, then f64
  double total = 0;
  for (std::int64_t start = 0; start < count; start += kBlock) {
    const std::int64_t length = count - start < kBlock ? count - start : kBlock;
    Vec sum = zero(), more = zero();
    std::int64_t i = start;
    const auto term = [](Vec v) HWY_ATTR { return kSquare ? hn::Mul(v, v) : v; };
    for (; i + 2 * kLanes <= start + length; i += 2 * kLanes) {
      sum = hn::Add(sum, term(load(x + i)));
      more = hn::Add(more, term(load(x + i + kLanes)));
    }
    for (; i + kLanes <= start + length; i += kLanes) sum = hn::Add(sum, term(load(x + i)));
    if (i < start + length) more = hn::Add(more, term(load_part(x + i, start + length - i)));
    total += double{sum_of(hn::Add(sum, more))};
  }
  return total;
}

template <class T>
double reduce_row_typed(const T* x, std::int64_t count, Reduction op) {
  return op == Reduction::max ? double{max_of_row(x, count)} : sum_of_row<false>(x, count);
}

// out[j] = Σ or max over rows of x[r][j].
template <class T>
void reduce_columns_typed(const T* x, std::int64_t rows, std::int64_t stride, float* out, std::int64_t columns,
                          bool max) {
  const Vec start = set(max ? -std::numeric_limits<float>::infinity() : 0.0f);
  for_vectors(columns, [&](std::int64_t, auto, auto to) HWY_ATTR { to(start, out); });
  for (std::int64_t r = 0; r < rows; ++r, x += stride) {
    if (max)
      for_vectors(columns, [&](std::int64_t, auto in, auto to) HWY_ATTR { to(larger(in(x), in(out)), out); });
    else
      for_vectors(columns, [&](std::int64_t, auto in, auto to) HWY_ATTR { to(hn::Add(in(out), in(x)), out); });
  }
}

}  // namespace

double reduce_row(const TensorView& x, std::int64_t offset, std::int64_t count, Reduction op) {
  return x.dtype == DType::bf16 ? reduce_row_typed(x.as<const BFloat16>() + offset, count, op)
                                : reduce_row_typed(x.as<const float>() + offset, count, op);
}

void reduce_columns(const TensorView& x, std::int64_t offset, std::int64_t rows, std::int64_t stride, float* out,
                    std::int64_t columns, bool max) {
  if (x.dtype == DType::bf16)
    reduce_columns_typed(x.as<const BFloat16>() + offset, rows, stride, out, columns, max);
  else
    reduce_columns_typed(x.as<const float>() + offset, rows, stride, out, columns, max);
}

double square_row(const TensorView& x, std::int64_t offset, std::int64_t count) {
  return x.dtype == DType::bf16 ? sum_of_row<true>(x.as<const BFloat16>() + offset, count)
                                : sum_of_row<true>(x.as<const float>() + offset, count);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(reduce_row);
HWY_EXPORT(reduce_columns);
HWY_EXPORT(square_row);

using Index = std::size_t;
constexpr std::int64_t kRowPiece = 1 << 14, kColumnPiece = 64;

// A reduction seen as [outer, reduced, inner]: reduced or inner is contiguous.
struct Layout {
  std::int64_t outer = 1, reduced = 1, inner = 1;
  std::int64_t outer_stride = 0, reduced_stride = 0;
};

const char* layout_of(const ReduceArgs& args, Layout& layout) {
  if (args.x.dtype != DType::f32 && args.x.dtype != DType::bf16) return "dtype is neither f32 nor bf16";
  if (args.y.dtype != DType::f32 && args.y.dtype != DType::bf16) return "output dtype is neither f32 nor bf16";
  struct Group {
    bool reduced;
    std::int64_t size, stride;
  };
  std::vector<Group> groups;
  for (int d = 0; d < args.x.rank; ++d) {
    const std::int64_t size = args.x.shape[d], stride = args.x.strides[d];
    if (size == 1) continue;
    const bool reduced = args.y.shape[d] == 1;
    if (!groups.empty() && groups.back().reduced == reduced && groups.back().stride == stride * size)
      groups.back() = {reduced, groups.back().size * size, stride};
    else
      groups.push_back({reduced, size, stride});
  }
  std::int64_t inner_stride = 1;
  Index next = 0;
  if (next < groups.size() && !groups[next].reduced && (groups.size() > 1)) {
    layout.outer = groups[next].size;
    layout.outer_stride = groups[next++].stride;
  }
  if (next < groups.size() && groups[next].reduced) {
    layout.reduced = groups[next].size;
    layout.reduced_stride = groups[next++].stride;
  }
  if (next < groups.size() && !groups[next].reduced) {
    layout.inner = groups[next].size;
    inner_stride = groups[next++].stride;
  }
  if (next < groups.size()) return "reduced dimensions alternate with kept ones";
  if (layout.inner > 1 ? inner_stride != 1 : layout.reduced > 1 && layout.reduced_stride != 1)
    return "neither rows nor columns are contiguous";
  return nullptr;
}

const char* reduce_supports(const ReduceArgs& args) {
  Layout layout;
  return layout_of(args, layout);
}

void put(const TensorView& y, std::int64_t at, double value) {
  if (y.dtype == DType::f32)
    y.as<float>()[at] = static_cast<float>(value);
  else
    y.as<BFloat16>()[at] = from_float<BFloat16>(static_cast<float>(value));
}

double joined(double so_far, double value, bool max) {
  if (!max) return so_far + value;
  return so_far != so_far ? so_far : value != value || value > so_far ? value : so_far;
}

void reduce_rows(const ReduceArgs& args, const Layout& layout, double factor) {
  const bool max = args.op == Reduction::max;
  const std::int64_t pieces = std::max<std::int64_t>(1, (layout.reduced + kRowPiece - 1) / kRowPiece);
  std::vector<double> partial(static_cast<Index>(layout.outer * pieces));
  const std::int64_t grain =
      std::max<std::int64_t>(1, kRowPiece / std::max<std::int64_t>(1, std::min(layout.reduced, kRowPiece)));
  parallel_blocks(layout.outer * pieces, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % pieces * kRowPiece;
      partial[static_cast<Index>(task)] = HWY_DYNAMIC_DISPATCH(reduce_row)(
          args.x, task / pieces * layout.outer_stride + first, std::min(kRowPiece, layout.reduced - first), args.op);
    }
  });
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    double total = partial[static_cast<Index>(o * pieces)];
    for (std::int64_t p = 1; p < pieces; ++p) total = joined(total, partial[static_cast<Index>(o * pieces + p)], max);
    put(args.y, o, total * factor);
  }
}

void reduce_by_columns(const ReduceArgs& args, const Layout& layout, double factor) {
  const bool max = args.op == Reduction::max;
  const std::int64_t pieces = std::max<std::int64_t>(1, (layout.reduced + kColumnPiece - 1) / kColumnPiece),
                     inner = layout.inner;
  std::vector<float> partial(static_cast<Index>(layout.outer * pieces * inner));
  const std::int64_t grain = std::max<std::int64_t>(
      1, (1 << 14) / (inner * std::min(kColumnPiece, std::max<std::int64_t>(1, layout.reduced))));
  parallel_blocks(layout.outer * pieces, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % pieces * kColumnPiece;
      HWY_DYNAMIC_DISPATCH(reduce_columns)
      (args.x, task / pieces * layout.outer_stride + first * layout.reduced_stride,
       std::min(kColumnPiece, layout.reduced - first), layout.reduced_stride, partial.data() + task * inner, inner,
       max);
    }
  });
  parallel_blocks(layout.outer * inner, 1 << 12, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const float* column = partial.data() + at / inner * pieces * inner + at % inner;
      double total = double{column[0]};
      for (std::int64_t p = 1; p < pieces; ++p) total = joined(total, double{column[p * inner]}, max);
      put(args.y, at, total * factor);
    }
  });
}

void reduce(const ReduceArgs& args) {
  Layout layout;
  layout_of(args, layout);
  if (args.y.numel() == 0) return;
  const double factor = args.op == Reduction::mean ? 1.0 / static_cast<double>(layout.reduced) : 1.0;
  layout.inner == 1 ? reduce_rows(args, layout, factor) : reduce_by_columns(args, layout, factor);
}

void sum_squares(const SumSquaresArgs& args) {
  const std::int64_t count = args.x.numel(), pieces = (count + kRowPiece - 1) / kRowPiece;
  std::vector<double> partial(static_cast<Index>(pieces));
  parallel_blocks(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p)
      partial[static_cast<Index>(p)] =
          HWY_DYNAMIC_DISPATCH(square_row)(args.x, p * kRowPiece, std::min(kRowPiece, count - p * kRowPiece));
  });
  double total = 0;
  for (const double value : partial) total += value;
  *args.sum.as<float>() = static_cast<float>(total);
}

}  // namespace

void add_reduce_kernels() {
  add_kernel<ReduceArgs>(Device::cpu, "simd", reduce, reduce_supports);
  add_kernel<SumSquaresArgs>(Device::cpu, "simd", sum_squares);
}

}  // namespace orrery
#endif  // HWY_ONCE
