// Copies and conversions: contiguous runs on Highway, transposed ones in tiles, and fills.
#include "kernels/api/copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/copy.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

template <class X, class Y>
void convert(const X* x, Y* y, std::int64_t count, bool accumulate) {
  if (accumulate)
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(hn::Add(in(y), in(x)), y); });
  else
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(in(x), y); });
}

}  // namespace

void convert_run(const CopyArgs& args, std::int64_t x, std::int64_t y, std::int64_t count) {
  const auto* xf = args.x.as<const float>();
  const auto* xh = args.x.as<const BFloat16>();
  auto* yf = args.y.as<float>();
  auto* yh = args.y.as<BFloat16>();
  if (args.x.dtype == DType::bf16) {
    if (args.y.dtype == DType::bf16) return convert(xh + x, yh + y, count, args.accumulate);
    return convert(xh + x, yf + y, count, args.accumulate);
  }
  if (args.y.dtype == DType::bf16) return convert(xf + x, yh + y, count, args.accumulate);
  convert(xf + x, yf + y, count, args.accumulate);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(convert_run);

bool floating(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }
bool plain(const CopyArgs& args) { return args.x.dtype == args.y.dtype && !args.accumulate; }

const char* convertible(const CopyArgs& args) {
  if (plain(args) || (floating(args.x.dtype) && floating(args.y.dtype))) return nullptr;
  return "an integer is converted";
}

const char* run_supports(const CopyArgs& args) {
  if (const char* reason = convertible(args)) return reason;
  const auto loops = make_loops<2>({&args.y, &args.x});
  return loops.inner() == 1 || (loops.inner_stride(0) == 1 && loops.inner_stride(1) == 1)
             ? nullptr
             : "the last dimension is not contiguous in both";
}

void copy_runs(const CopyArgs& args) {
  const std::int64_t size = size_of(args.y.dtype);
  for_each_run(make_loops<2>({&args.y, &args.x}), [&](const auto& at, std::int64_t count) {
    if (plain(args))
      std::memcpy(args.y.as<std::byte>() + at[0] * size, args.x.as<const std::byte>() + at[1] * size,
                  static_cast<std::size_t>(count * size));
    else
      HWY_DYNAMIC_DISPATCH(convert_run)(args, at[1], at[0], count);
  });
}

constexpr std::int64_t kTile = 32;

// How elements of X go to Y.
template <class X, class Y>
Y converted(X value) {
  if constexpr (std::is_same_v<X, Y>)
    return value;
  else
    return from_float<Y>(to_float(value));
}

// One two-dimensional piece in tiles: `run` is the dimension where y is contiguous, `other` the one where x is (or
// any).
template <class X, class Y>
void copy_tiles(const X* x, Y* y, std::int64_t runs, std::int64_t others, std::int64_t x_run, std::int64_t x_other,
                std::int64_t y_run, std::int64_t y_other, bool accumulate) {
  for (std::int64_t o = 0; o < others; o += kTile)
    for (std::int64_t r = 0; r < runs; r += kTile)
      for (std::int64_t i = o; i < std::min(o + kTile, others); ++i)
        for (std::int64_t j = r; j < std::min(r + kTile, runs); ++j) {
          Y& target = y[i * y_other + j * y_run];
          const X value = x[i * x_other + j * x_run];
          if constexpr (std::is_same_v<X, float> || std::is_same_v<X, BFloat16>) {
            if (accumulate) {
              target = from_float<Y>(to_float(target) + to_float(value));
              continue;
            }
          }
          target = converted<X, Y>(value);
        }
}

template <class X, class Y>
void copy_strided_typed(const CopyArgs& args) {
  const auto loops = make_loops<2>({&args.y, &args.x});
  // The tile's second dimension: the outer one along which x steps least.
  const int inner = loops.rank - 1;
  int other = -1;
  for (int d = 0; d < inner; ++d) {
    const auto stride = [&](int dim) { return loops.strides[static_cast<std::size_t>(dim)][1]; };
    if (other < 0 || std::abs(stride(d)) < std::abs(stride(other))) other = d;
  }
  Loops<2> rest;  // the dimensions outside of the tile, and a last one that is cut among the threads
  for (int d = 0; d < inner; ++d) {
    if (d == other) continue;
    rest.shape[static_cast<std::size_t>(rest.rank)] = loops.shape[static_cast<std::size_t>(d)];
    rest.strides[static_cast<std::size_t>(rest.rank++)] = loops.strides[static_cast<std::size_t>(d)];
  }
  const auto dim_of = [&](int d) { return d < 0 ? std::int64_t{1} : loops.shape[static_cast<std::size_t>(d)]; };
  const auto stride_of = [&](int d, std::size_t view) {
    return d < 0 ? 0 : loops.strides[static_cast<std::size_t>(d)][view];
  };
  const std::int64_t runs = loops.inner(), others = dim_of(other), slices = (others + kTile - 1) / kTile;
  rest.shape[static_cast<std::size_t>(rest.rank)] = 1;
  rest.strides[static_cast<std::size_t>(rest.rank++)] = {0, 0};
  const std::int64_t outer = rest.outer();
  parallel_blocks(outer * slices, std::max<std::int64_t>(1, (1 << 14) / std::max<std::int64_t>(1, runs * kTile)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t task = begin; task < end; ++task) {
                      const auto at = rest.offsets(task / slices);
                      const std::int64_t first = task % slices * kTile;
                      copy_tiles(args.x.as<const X>() + at[1] + first * stride_of(other, 1),
                                 args.y.as<Y>() + at[0] + first * stride_of(other, 0), runs,
                                 std::min(kTile, others - first), loops.inner_stride(1), stride_of(other, 1),
                                 loops.inner_stride(0), stride_of(other, 0), args.accumulate);
                    }
                  });
}

void copy_strided(const CopyArgs& args) {
  if (args.y.numel() == 0) return;
  if (plain(args)) {
    switch (size_of(args.x.dtype)) {
      case 1:
        return copy_strided_typed<std::int8_t, std::int8_t>(args);
      case 2:
        return copy_strided_typed<std::uint16_t, std::uint16_t>(args);
      default:
        return copy_strided_typed<std::uint32_t, std::uint32_t>(args);
    }
  }
  const bool from_half = args.x.dtype == DType::bf16, to_half = args.y.dtype == DType::bf16;
  if (from_half)
    return to_half ? copy_strided_typed<BFloat16, BFloat16>(args) : copy_strided_typed<BFloat16, float>(args);
  to_half ? copy_strided_typed<float, BFloat16>(args) : copy_strided_typed<float, float>(args);
}

const char* fill_supports(const FillArgs& args) {
  if (!floating(args.y.dtype)) return "an integer is filled";
  const auto loops = make_loops<1>({&args.y});
  return loops.inner() == 1 || loops.inner_stride(0) == 1 ? nullptr : "the last dimension is not contiguous";
}

void fill_runs(const FillArgs& args) {
  for_each_run(make_loops<1>({&args.y}), [&](const auto& at, std::int64_t count) {
    if (args.y.dtype == DType::f32)
      std::fill_n(args.y.as<float>() + at[0], count, args.value);
    else
      std::fill_n(args.y.as<BFloat16>() + at[0], count, from_float<BFloat16>(args.value));
  });
}

}  // namespace

void add_copy_kernels() {
  add_kernel<CopyArgs>(Device::cpu, "runs", copy_runs, run_supports);
  add_kernel<CopyArgs>(Device::cpu, "tiles", copy_strided, convertible);
  add_kernel<FillArgs>(Device::cpu, "runs", fill_runs, fill_supports);
}

}  // namespace orrery
#endif  // HWY_ONCE
