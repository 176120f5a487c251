// Group norm on Highway. Sums over positions run in blocks of fixed length that are put together in order.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/api/layer_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/group_norm.cc"
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

// Channels go in vectors of four, then one by one, each down all rows with its sums in registers; body(at, load) is
// told the channel that it begins with.
template <class Body>
HWY_INLINE void for_channels(std::int64_t channels, const Body& body) {
  std::int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes)
    body(std::integral_constant<int, 4>(), c, [c](const auto* p, int v) HWY_ATTR { return load(p + c + v * kLanes); });
  for (; c + kLanes <= channels; c += kLanes)
    body(std::integral_constant<int, 1>(), c, [c](const auto* p, int) HWY_ATTR { return load(p + c); });
  if (c < channels)
    body(std::integral_constant<int, 1>(), c,
         [c, channels](const auto* p, int) HWY_ATTR { return load_part(p + c, channels - c); });
}

// to[c ...] += sums
template <int vectors>
HWY_INLINE void add_sums(const Vec* sums, std::int64_t c, std::int64_t channels, float* to) {
  for (int v = 0; v < vectors; ++v) {
    float* at = to + c + v * kLanes;
    const std::int64_t left = channels - c - v * kLanes;
    left >= kLanes ? store(hn::Add(load(at), sums[v]), at)
                   : store_part(hn::Add(load_part(at, left), sums[v]), at, left);
  }
}

// first[c] += Σ x over rows, second[c] += Σ (x − mean)² around the mean of these rows: the second look at them is into
// the cache.
template <class T>
void moments_typed(const T* x, std::int64_t rows, std::int64_t channels, float* first, float* second) {
  const Vec share = set(1.0f / static_cast<float>(rows));
  for_channels(channels, [&](auto vectors, std::int64_t c, auto in) HWY_ATTR {
    Vec sums[vectors], squares[vectors], means[vectors];
    for (int v = 0; v < vectors; ++v) sums[v] = squares[v] = zero();
    for (std::int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) sums[v] = hn::Add(sums[v], in(x + r * channels, v));
    for (int v = 0; v < vectors; ++v) means[v] = hn::Mul(sums[v], share);
    for (std::int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) {
        const Vec value = hn::Sub(in(x + r * channels, v), means[v]);
        squares[v] = hn::MulAdd(value, value, squares[v]);
      }
    add_sums<vectors>(sums, c, channels, first);
    add_sums<vectors>(squares, c, channels, second);
  });
}

// first[c] += Σ g, second[c] += Σ g·(x − center).
template <class T>
void slopes_typed(const T* x, const T* g, std::int64_t rows, std::int64_t channels, const float* center, float* first,
                  float* second) {
  for_channels(channels, [&](auto vectors, std::int64_t c, auto in) HWY_ATTR {
    Vec sums[vectors], slopes[vectors], centers[vectors];
    for (int v = 0; v < vectors; ++v) sums[v] = slopes[v] = zero(), centers[v] = in(center, v);
    for (std::int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) {
        const Vec grad = in(g + r * channels, v);
        sums[v] = hn::Add(sums[v], grad);
        slopes[v] = hn::MulAdd(grad, hn::Sub(in(x + r * channels, v), centers[v]), slopes[v]);
      }
    add_sums<vectors>(sums, c, channels, first);
    add_sums<vectors>(slopes, c, channels, second);
  });
}

// y = x·a + b a channel; with g: y = g·a + (x − center)·c + b.
template <class T>
void scale_typed(const T* x, const T* g, T* y, std::int64_t rows, std::int64_t channels, const float* a, const float* b,
                 const float* c, const float* center) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels) {
    if (g) {
      map_vectors(channels, y, [&](auto in) HWY_ATTR {
        return hn::MulAdd(in(g), in(a), hn::MulAdd(hn::Sub(in(x), in(center)), in(c), in(b)));
      });
      g += channels;
    } else {
      map_vectors(channels, y, [&](auto in) HWY_ATTR { return hn::MulAdd(hn::Sub(in(x), in(center)), in(a), in(b)); });
    }
  }
}

}  // namespace

void channel_moments(const TensorView& x, std::int64_t at, std::int64_t rows, std::int64_t channels, float* first,
                     float* second) {
  x.dtype == DType::bf16 ? moments_typed(x.as<const BFloat16>() + at, rows, channels, first, second)
                         : moments_typed(x.as<const float>() + at, rows, channels, first, second);
}
void channel_slopes(const TensorView& x, const TensorView& g, std::int64_t at, std::int64_t rows, std::int64_t channels,
                    const float* center, float* first, float* second) {
  x.dtype == DType::bf16
      ? slopes_typed(x.as<const BFloat16>() + at, g.as<const BFloat16>() + at, rows, channels, center, first, second)
      : slopes_typed(x.as<const float>() + at, g.as<const float>() + at, rows, channels, center, first, second);
}
void channel_scale(const TensorView& x, const TensorView& g, const TensorView& y, std::int64_t at, std::int64_t rows,
                   std::int64_t channels, const float* table) {
  const float *a = table, *b = table + channels, *c = table + 2 * channels, *center = table + 3 * channels;
  if (x.dtype == DType::bf16)
    scale_typed(x.as<const BFloat16>() + at, g ? g.as<const BFloat16>() + at : nullptr, y.as<BFloat16>() + at, rows,
                channels, a, b, c, center);
  else
    scale_typed(x.as<const float>() + at, g ? g.as<const float>() + at : nullptr, y.as<float>() + at, rows, channels, a,
                b, c, center);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(channel_moments);
HWY_EXPORT(channel_slopes);
HWY_EXPORT(channel_scale);

using Index = std::size_t;
constexpr std::int64_t kBlock = 64;  // positions that are summed in f32 before f64 takes over

struct Groups {
  std::int64_t batch, positions, channels, groups, width;
  double count() const { return static_cast<double>(positions * width); }
  std::int64_t blocks() const { return (positions + kBlock - 1) / kBlock; }
  std::int64_t length(std::int64_t block) const { return std::min(kBlock, positions - block * kBlock); }
  /// Elements before a block of batch entry b.
  std::int64_t at(std::int64_t b, std::int64_t block) const { return (b * positions + block * kBlock) * channels; }
};
Groups groups_of(const TensorView& x, const TensorView& mean) {
  return {x.shape[0], x.shape[1], x.shape[2], mean.shape[1], x.shape[2] / std::max<std::int64_t>(1, mean.shape[1])};
}

// One batch entry after the other, so that its second reading comes from the cache: an entry a thread where there are
// enough of them.
template <class Body>
void for_entries(const Groups& shape, const Body& body) {
  if (shape.batch >= omp_get_max_threads()) return parallel_tasks(shape.batch, body);
  for (std::int64_t b = 0; b < shape.batch; ++b) body(b);
}

// A batch entry's two sums a channel of each block of positions: [blocks][2][channels].
template <class Sum>
std::vector<float> block_sums(const Groups& shape, std::int64_t b, const Sum& sum) {
  const std::int64_t channels = shape.channels;
  std::vector<float> parts(static_cast<Index>(shape.blocks() * 2 * channels), 0.0f);
  parallel_blocks(shape.blocks(), std::max<std::int64_t>(1, 256 / std::max<std::int64_t>(1, channels)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t block = begin; block < end; ++block) {
                      float* part = parts.data() + block * 2 * channels;
                      sum(shape.at(b, block), shape.length(block), part, part + channels);
                    }
                  });
  return parts;
}

// Those of all blocks: [2][channels].
std::vector<double> channel_totals(const Groups& shape, const std::vector<float>& parts) {
  std::vector<double> totals(static_cast<Index>(2 * shape.channels), 0.0);
  for (std::int64_t block = 0; block < shape.blocks(); ++block)
    for (std::int64_t i = 0; i < 2 * shape.channels; ++i)
      totals[static_cast<Index>(i)] += double{parts[static_cast<Index>(block * 2 * shape.channels + i)]};
  return totals;
}

// Means over the groups of sums a channel, for every channel of the group.
std::vector<double> group_means(const Groups& shape, const double* sums) {
  std::vector<double> means(static_cast<Index>(shape.channels));
  for (std::int64_t first = 0; first < shape.channels; first += shape.width) {
    double sum = 0;
    for (std::int64_t c = first; c < first + shape.width; ++c) sum += sums[c];
    std::fill_n(means.begin() + first, shape.width, sum / shape.count());
  }
  return means;
}

// Four values a channel (a, b, c, center) go over a batch entry's positions.
void scale_entry(const Groups& shape, std::int64_t b, const TensorView& x, const TensorView& g, const TensorView& y,
                 const std::vector<float>& table) {
  parallel_blocks(shape.blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) HWY_DYNAMIC_DISPATCH(channel_scale)
    (x, g, y, shape.at(b, block), shape.length(block), shape.channels, table.data());
  });
}

// Σ (x − mean)² a channel from the blocks' own, around their own means (Chan et al. 1979).
std::vector<double> squares_around(const Groups& shape, const std::vector<float>& parts,
                                   const std::vector<double>& means) {
  std::vector<double> squares(static_cast<Index>(shape.channels), 0.0);
  for (std::int64_t block = 0; block < shape.blocks(); ++block) {
    const float *first = parts.data() + block * 2 * shape.channels, *second = first + shape.channels;
    const double length = static_cast<double>(shape.length(block)), share = 1 / length;
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      const double away = double{first[c]} * share - means[static_cast<Index>(c)];
      squares[static_cast<Index>(c)] += double{second[c]} + length * away * away;
    }
  }
  return squares;
}

void group_norm(const GroupNormArgs& args) {
  const Groups shape = groups_of(args.x, args.mean);
  if (args.x.numel() == 0) return;
  for_entries(shape, [&](std::int64_t b) {
    const std::vector<float> parts =
        block_sums(shape, b, [&](std::int64_t at, std::int64_t rows, float* first, float* second) {
          HWY_DYNAMIC_DISPATCH(channel_moments)(args.x, at, rows, shape.channels, first, second);
        });
    const std::vector<double> means = group_means(shape, channel_totals(shape, parts).data());
    const std::vector<double> variances = group_means(shape, squares_around(shape, parts, means).data());
    std::vector<float> table(static_cast<Index>(4 * shape.channels), 0.0f);
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      const std::int64_t group = b * shape.groups + c / shape.width;
      float *mean = args.mean.as<float>() + group, *inverse = args.inverse.as<float>() + group, *at = table.data() + c;
      *mean = static_cast<float>(means[static_cast<Index>(c)]);
      *inverse = static_cast<float>(1 / std::sqrt(variances[static_cast<Index>(c)] + double{args.eps}));
      at[0] = *inverse * (args.weight ? args.weight.as<const float>()[c] : 1.0f);
      at[shape.channels] = args.bias ? args.bias.as<const float>()[c] : 0.0f;
      at[3 * shape.channels] = *mean;
    }
    scale_entry(shape, b, args.x, {}, args.y, table);
  });
}

void group_norm_backward(const GroupNormBackwardArgs& args) {
  const Groups shape = groups_of(args.x, args.mean);
  const std::int64_t channels = shape.channels;
  const float* weight = args.weight.as<const float>();
  std::vector<std::vector<double>> totals(static_cast<Index>(shape.batch));
  for_entries(shape, [&](std::int64_t b) {
    std::vector<float> table(static_cast<Index>(4 * channels));
    float* centers = table.data() + 3 * channels;
    for (std::int64_t c = 0; c < channels; ++c)
      centers[c] = args.mean.as<const float>()[b * shape.groups + c / shape.width];
    const std::vector<double> sums = channel_totals(
        shape, block_sums(shape, b, [&](std::int64_t at, std::int64_t rows, float* first, float* second) {
          HWY_DYNAMIC_DISPATCH(channel_slopes)(args.x, args.grad_y, at, rows, channels, centers, first, second);
        }));
    std::vector<double> weighted = sums;
    for (std::int64_t i = 0; weight && i < 2 * channels; ++i)
      weighted[static_cast<Index>(i)] *= double{weight[i % channels]};
    // grad_x = inverse·(g·w − mean(g·w) − normal·mean(g·w·normal))
    const std::vector<double> mean_sum = group_means(shape, weighted.data()),
                              mean_dot = group_means(shape, weighted.data() + channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double scale = double{args.inverse.as<const float>()[b * shape.groups + c / shape.width]};
      float* at = table.data() + c;
      at[0] = static_cast<float>(scale * (weight ? double{weight[c]} : 1.0));
      at[channels] = static_cast<float>(-scale * mean_sum[static_cast<Index>(c)]);
      at[2 * channels] = static_cast<float>(-scale * scale * scale * mean_dot[static_cast<Index>(c)]);
    }
    scale_entry(shape, b, args.x, args.grad_y, args.grad_x, table);
    totals[static_cast<Index>(b)] = sums;
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    double grad_weight = 0, grad_bias = 0;
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      const std::vector<double>& sums = totals[static_cast<Index>(b)];
      grad_bias += sums[static_cast<Index>(c)];
      grad_weight += sums[static_cast<Index>(channels + c)] *
                     double{args.inverse.as<const float>()[b * shape.groups + c / shape.width]};
    }
    if (args.grad_weight) args.grad_weight.as<float>()[c] = static_cast<float>(grad_weight);
    if (args.grad_bias) args.grad_bias.as<float>()[c] = static_cast<float>(grad_bias);
  }
}

}  // namespace

void add_group_norm_kernels() {
  add_kernel<GroupNormArgs>(Device::cpu, "simd", group_norm);
  add_kernel<GroupNormBackwardArgs>(Device::cpu, "simd", group_norm_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
