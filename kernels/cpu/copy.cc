// Fast copies: rows by memcpy or vector conversion, other strides by typed loops; and reductions over leading or trailing
// dimensions in blocks of fixed size, so that sums do not depend on threads.
#include "kernels/api/copy.h"

#include <cstring>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/copy.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/reduce.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loop_nest.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

constexpr std::int64_t kGrain = 1 << 14;

template <class X, class Y>
HWY_INLINE void copy_row(const X* x, std::int64_t x_stride, Y* y, std::int64_t y_stride, std::int64_t count, bool accumulate) {
  if (x_stride == 1 && y_stride == 1) {
    if constexpr (std::is_same_v<X, Y>) {
      if (!accumulate) {
        std::memcpy(y, x, static_cast<std::size_t>(count) * sizeof(X));
        return;
      }
    }
    if (accumulate) {
      for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(hn::Add(read(x), read(y)), y); });
    } else {
      for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(read(x), y); });
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = to_float(x[i * x_stride]) + (accumulate ? to_float(y[i * y_stride]) : 0.0f);
    y[i * y_stride] = from_float<Y>(value);
  }
}

template <class X, class Y>
void copy_typed(const CopyArgs& args) {
  const TensorView* const views[] = {&args.y, &args.x};
  const LoopNest<2> nest(views);
  const X* x = args.x.as<const X>();
  Y* y = args.y.as<Y>();
  const auto piece = [&](std::int64_t count, const std::int64_t* at) {
    copy_row(x + at[1], nest.inner_stride[1], y + at[0], nest.inner_stride[0], count, args.accumulate);
  };
  const std::int64_t outer = nest.outer();
  if (outer == 1) {
    parallel_blocks(nest.inner, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t offsets[] = {begin * nest.inner_stride[0], begin * nest.inner_stride[1]};
      piece(end - begin, offsets);
    });
    return;
  }
  parallel_blocks(outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, nest.inner)), [&](std::int64_t begin, std::int64_t end) {
    nest.run(begin, end, [&](const std::int64_t* offsets) { piece(nest.inner, offsets); });
  });
}

// One row to one value: f64 over blocks of 4096 elements, each block in f32 lanes.
template <class T>
double reduce_row(const T* x, std::int64_t count, Reduction op) {
  constexpr std::int64_t kBlock = 4096;
  const bool max = op == Reduction::max;
  double result = max ? -std::numeric_limits<double>::infinity() : 0;
  for (std::int64_t at = 0; at < count; at += kBlock) {
    const std::int64_t length = std::min(kBlock, count - at), whole = length / kLanes * kLanes;
    Vec lanes = max ? set(-std::numeric_limits<float>::infinity()) : zero();
    for (std::int64_t i = 0; i < whole; i += kLanes) {
      const Vec v = load(x + at + i);
      lanes = max ? hn::Max(lanes, v) : hn::Add(lanes, v);
    }
    double block = max ? double{max_of(lanes)} : double{sum_of(lanes)};
    for (std::int64_t i = whole; i < length; ++i) {
      const double v = to_float(x[at + i]);
      block = max ? std::max(block, v) : block + v;
    }
    result = max ? std::max(result, block) : result + block;
  }
  return result;
}

template <class T>
void put(const TensorView& y, std::int64_t at, double value) {
  y.as<T>()[at] = from_float<T>(static_cast<float>(value));
}

void put_result(const ReduceArgs& args, std::int64_t at, double value, std::int64_t count) {
  if (args.op == Reduction::mean) value /= static_cast<double>(count);
  args.y.dtype == DType::bf16 ? put<BFloat16>(args.y, at, value) : put<float>(args.y, at, value);
}

// Trailing dimensions are reduced: `rows` results of `length` elements each.
template <class T>
void reduce_rows(const ReduceArgs& args, std::int64_t rows, std::int64_t length) {
  const T* x = args.x.as<const T>();
  if (rows == 1 && args.op != Reduction::max) {
    // Fixed pieces, whatever the threads.
    constexpr std::int64_t kPiece = 1 << 16;
    const std::int64_t pieces = (length + kPiece - 1) / kPiece;
    std::vector<double> partial(static_cast<std::size_t>(pieces));
    parallel_blocks(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p)
        partial[static_cast<std::size_t>(p)] = reduce_row(x + p * kPiece, std::min(kPiece, length - p * kPiece), args.op);
    });
    double sum = 0;
    for (const double value : partial) sum += value;
    put_result(args, 0, sum, length);
    return;
  }
  parallel_blocks(rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, length)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) put_result(args, r, reduce_row(x + r * length, length, args.op), length);
  });
}

// Leading dimensions are summed: each column over all rows, in order.
template <class T>
void reduce_columns(const ReduceArgs& args, std::int64_t rows, std::int64_t columns) {
  const T* x = args.x.as<const T>();
  parallel_blocks(columns, 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(end - begin), 0.0);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = begin; c < end; ++c) sums[static_cast<std::size_t>(c - begin)] += to_float(x[r * columns + c]);
    for (std::int64_t c = begin; c < end; ++c) put_result(args, c, sums[static_cast<std::size_t>(c - begin)], rows);
  });
}

}  // namespace

void run_copy(const CopyArgs& args) {
  const bool x16 = args.x.dtype == DType::bf16, y16 = args.y.dtype == DType::bf16;
  if (x16 && y16) return copy_typed<BFloat16, BFloat16>(args);
  if (x16) return copy_typed<BFloat16, float>(args);
  if (y16) return copy_typed<float, BFloat16>(args);
  copy_typed<float, float>(args);
}

void run_reduce(const ReduceArgs& args) {
  int leading = 0;  // dimensions before the first reduced one
  while (leading < args.x.rank && args.x.shape[leading] == args.y.shape[leading]) ++leading;
  std::int64_t kept = 1;
  for (int d = 0; d < leading; ++d) kept *= args.x.shape[d];
  const std::int64_t total = args.x.numel(), outputs = args.y.numel();
  const bool bf16 = args.x.dtype == DType::bf16;
  if (kept == outputs) {
    bf16 ? reduce_rows<BFloat16>(args, kept, total / kept) : reduce_rows<float>(args, kept, total / kept);
  } else {
    bf16 ? reduce_columns<BFloat16>(args, total / outputs, outputs) : reduce_columns<float>(args, total / outputs, outputs);
  }
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(run_copy);
HWY_EXPORT(run_reduce);

bool floating(const TensorView& view) { return view.dtype == DType::f32 || view.dtype == DType::bf16; }

const char* supports_copy(const CopyArgs& args) {
  return floating(args.x) && floating(args.y) ? nullptr : "wants floating dtypes";
}

// The reduced dimensions must be all trailing (rows) or all leading (columns) ones of a contiguous tensor.
const char* supports_reduce(const ReduceArgs& args) {
  if (!floating(args.x) || !args.x.contiguous() || args.x.numel() == 0) return "wants contiguous floating values";
  int changes = 0;
  bool reduced = false, any = false, first_reduced = false;
  for (int d = 0; d < args.x.rank; ++d) {
    if (args.x.shape[d] == 1) continue;
    const bool now = args.y.shape[d] == 1;
    if (!any) first_reduced = now;
    if (any && now != reduced) ++changes;
    reduced = now;
    any = true;
  }
  if (changes > 1) return "wants the reduced dimensions to be all first or all last";
  if (changes == 1 && first_reduced && args.op == Reduction::max) return "no fast maximum over columns";
  return nullptr;
}

}  // namespace

void add_copy_kernels() {
  add_kernel<CopyArgs>(Device::cpu, "highway", [](const CopyArgs& args) { HWY_DYNAMIC_DISPATCH(run_copy)(args); }, supports_copy);
  add_kernel<ReduceArgs>(Device::cpu, "highway", [](const ReduceArgs& args) { HWY_DYNAMIC_DISPATCH(run_reduce)(args); }, supports_reduce);
}

}  // namespace orrery
#endif  // HWY_ONCE
