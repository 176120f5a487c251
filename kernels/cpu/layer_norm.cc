// Layer norm and group norm on Highway. Sums over rows run in blocks of fixed length that are put together in order.
#include "kernels/api/layer_norm.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cc"
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

template <class T>
void layer_norm_typed(const LayerNormArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = args.x.shape[1], together = rows_together(d), whole = d - d % kLanes;
  const float *weight = args.weight.as<const float>(), *bias = args.bias.as<const float>();
  float *const mean = args.mean.as<float>(), *const inverse = args.inverse.as<float>();
  const Vec one = set(1.0f);
  for (std::int64_t first = begin; first < end; first += together) {
    const std::int64_t last = std::min(end, first + together);
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = args.x.as<const T>() + row * d;
      Vec sum;
      sum_vectors<1>(d, &sum, [&](auto in, auto, Vec* total) HWY_ATTR { *total = hn::Add(*total, in(x)); });
      mean[row] = sum_of(sum) / static_cast<float>(d);
    }
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = args.x.as<const T>() + row * d;
      const Vec center = set(mean[row]);
      Vec squares;
      sum_vectors<1>(whole, &squares, [&](auto in, auto, Vec* total) HWY_ATTR {
        const Vec v = hn::Sub(in(x), center);
        *total = hn::MulAdd(v, v, *total);
      });
      float tail = 0;
      for (std::int64_t i = whole; i < d; ++i) tail += (to_float(x[i]) - mean[row]) * (to_float(x[i]) - mean[row]);
      inverse[row] = 1.0f / std::sqrt((sum_of(squares) + tail) / static_cast<float>(d) + args.eps);
    }
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = args.x.as<const T>() + row * d;
      const Vec center = set(mean[row]), factor = set(inverse[row]);
      map_vectors(d, args.y.as<T>() + row * d, [&](auto in) HWY_ATTR {
        const Vec normal = hn::Mul(hn::Sub(in(x), center), factor);
        return hn::MulAdd(normal, weight ? in(weight) : one, bias ? in(bias) : zero());
      });
    }
  }
}

// Adds the block's parts of the weight's and the bias's gradients to grad_weight and grad_bias (d floats each).
template <class T>
void layer_norm_backward_typed(const LayerNormBackwardArgs& args, std::int64_t row, float* grad_weight,
                               float* grad_bias) {
  const std::int64_t d = args.x.shape[1];
  const T *x = args.x.as<const T>() + row * d, *grad = args.grad_y.as<const T>() + row * d;
  T* grad_x = args.grad_x.as<T>() + row * d;
  const float mean = args.mean.as<const float>()[row], inverse = args.inverse.as<const float>()[row];
  const float* weight = args.weight.as<const float>();
  const Vec center = set(mean), factor = set(inverse), one = set(1.0f);
  Vec totals[2];
  sum_vectors<2>(d, totals, [&](auto in, auto out, Vec* sums) HWY_ATTR {
    const Vec g = in(grad), normal = hn::Mul(hn::Sub(in(x), center), factor);
    const Vec weighted = hn::Mul(g, weight ? in(weight) : one);
    sums[0] = hn::Add(sums[0], weighted);  // past the end of a row g is 0
    sums[1] = hn::MulAdd(weighted, normal, sums[1]);
    out(hn::MulAdd(g, normal, in(grad_weight)), grad_weight);
    out(hn::Add(g, in(grad_bias)), grad_bias);
  });
  const float count = static_cast<float>(d);
  const Vec mean_sum = set(sum_of(totals[0]) / count), mean_dot = set(sum_of(totals[1]) / count);
  map_vectors(d, grad_x, [&](auto in) HWY_ATTR {
    const Vec normal = hn::Mul(hn::Sub(in(x), center), factor);
    const Vec weighted = hn::Mul(in(grad), weight ? in(weight) : one);
    return hn::Mul(factor, hn::Sub(hn::Sub(weighted, mean_sum), hn::Mul(normal, mean_dot)));
  });
}

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

// first[c] += Σ x over rows; with a center: second[c] += Σ (x − center)² instead.
template <class T>
void moments_typed(const T* x, std::int64_t rows, std::int64_t channels, const float* center, float* first,
                   float* second) {
  for_channels(channels, [&](auto vectors, std::int64_t c, auto in) HWY_ATTR {
    Vec sums[vectors], centers[vectors];
    for (int v = 0; v < vectors; ++v) sums[v] = zero(), centers[v] = center ? in(center, v) : zero();
    for (std::int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) {
        const Vec value = hn::Sub(in(x + r * channels, v), centers[v]);
        sums[v] = center ? hn::MulAdd(value, value, sums[v]) : hn::Add(sums[v], value);
      }
    add_sums<vectors>(sums, c, channels, center ? second : first);
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

void layer_norm_rows(const LayerNormArgs& args, std::int64_t begin, std::int64_t end) {
  args.x.dtype == DType::bf16 ? layer_norm_typed<BFloat16>(args, begin, end)
                              : layer_norm_typed<float>(args, begin, end);
}
void layer_norm_backward_row(const LayerNormBackwardArgs& args, std::int64_t row, float* grad_weight,
                             float* grad_bias) {
  args.x.dtype == DType::bf16 ? layer_norm_backward_typed<BFloat16>(args, row, grad_weight, grad_bias)
                              : layer_norm_backward_typed<float>(args, row, grad_weight, grad_bias);
}
void channel_moments(const TensorView& x, std::int64_t at, std::int64_t rows, std::int64_t channels,
                     const float* center, float* first, float* second) {
  x.dtype == DType::bf16 ? moments_typed(x.as<const BFloat16>() + at, rows, channels, center, first, second)
                         : moments_typed(x.as<const float>() + at, rows, channels, center, first, second);
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

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(layer_norm_backward_row);
HWY_EXPORT(channel_moments);
HWY_EXPORT(channel_slopes);
HWY_EXPORT(channel_scale);

using Index = std::size_t;
constexpr std::int64_t kBlock = 64;  // rows that are summed in f32 before f64 takes over

std::int64_t blocks_of(std::int64_t rows) { return (rows + kBlock - 1) / kBlock; }

void layer_norm(const LayerNormArgs& args) {
  if (args.x.shape[1] == 0) return;
  parallel_blocks(args.x.shape[0], std::max<std::int64_t>(1, 8192 / args.x.shape[1]),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(layer_norm_rows)(args, begin, end);
                  });
}

// out[i] = Σ over blocks of parts[block][i], in order.
void sum_blocks(const std::vector<float>& parts, std::int64_t blocks, std::int64_t stride, std::int64_t offset,
                const TensorView& out) {
  if (!out) return;
  for (std::int64_t i = 0; i < out.shape[0]; ++i) {
    double sum = 0;
    for (std::int64_t block = 0; block < blocks; ++block)
      sum += double{parts[static_cast<Index>(block * stride + offset + i)]};
    out.as<float>()[i] = static_cast<float>(sum);
  }
}

void layer_norm_backward(const LayerNormBackwardArgs& args) {
  const std::int64_t rows = args.x.shape[0], d = args.x.shape[1], blocks = blocks_of(rows);
  std::vector<float> parts(static_cast<Index>(blocks * 2 * d), 0.0f);
  parallel_blocks(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      float* part = parts.data() + block * 2 * d;
      for (std::int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row)
        HWY_DYNAMIC_DISPATCH(layer_norm_backward_row)(args, row, part, part + d);
    }
  });
  sum_blocks(parts, blocks, 2 * d, 0, args.grad_weight);
  sum_blocks(parts, blocks, 2 * d, d, args.grad_bias);
}

// Per batch entry and channel: two sums over the positions, [batch][2][channels].
template <class Sum>
std::vector<double> channel_sums(std::int64_t batch, std::int64_t positions, std::int64_t channels, const Sum& sum) {
  const std::int64_t blocks = blocks_of(positions);
  std::vector<float> parts(static_cast<Index>(batch * blocks * 2 * channels), 0.0f);
  parallel_blocks(batch * blocks, std::max<std::int64_t>(1, 256 / std::max<std::int64_t>(1, channels)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t task = begin; task < end; ++task) {
                      const std::int64_t b = task / blocks, first = task % blocks * kBlock;
                      float* part = parts.data() + task * 2 * channels;
                      sum(b, (b * positions + first) * channels, std::min(kBlock, positions - first), part,
                          part + channels);
                    }
                  });
  std::vector<double> result(static_cast<Index>(batch * 2 * channels), 0.0);
  for (std::int64_t task = 0; task < batch * blocks; ++task)
    for (std::int64_t i = 0; i < 2 * channels; ++i)
      result[static_cast<Index>(task / blocks * 2 * channels + i)] +=
          double{parts[static_cast<Index>(task * 2 * channels + i)]};
  return result;
}

struct Groups {
  std::int64_t batch, positions, channels, groups, width;
  double count() const { return static_cast<double>(positions * width); }
};
Groups groups_of(const TensorView& x, const TensorView& mean) {
  return {x.shape[0], x.shape[1], x.shape[2], mean.shape[1], x.shape[2] / std::max<std::int64_t>(1, mean.shape[1])};
}

// Each batch entry's four values a channel (a, b, c, center) go over its positions.
void scale_all(const Groups& shape, const TensorView& x, const TensorView& g, const TensorView& y,
               const std::vector<float>& tables) {
  const std::int64_t blocks = blocks_of(shape.positions);
  parallel_blocks(shape.batch * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t b = task / blocks, first = task % blocks * kBlock;
      HWY_DYNAMIC_DISPATCH(channel_scale)
      (x, g, y, (b * shape.positions + first) * shape.channels, std::min(kBlock, shape.positions - first),
       shape.channels, tables.data() + b * 4 * shape.channels);
    }
  });
}

// Group means of first[channel] of each batch entry.
std::vector<double> group_means(const Groups& shape, const std::vector<double>& sums, std::int64_t which) {
  std::vector<double> result(static_cast<Index>(shape.batch * shape.groups), 0.0);
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int64_t c = 0; c < shape.channels; ++c)
      result[static_cast<Index>(b * shape.groups + c / shape.width)] +=
          sums[static_cast<Index>((b * 2 + which) * shape.channels + c)] / shape.count();
  return result;
}

std::vector<float> centers_of(const Groups& shape, const float* mean) {
  std::vector<float> centers(static_cast<Index>(shape.batch * shape.channels));
  for (std::int64_t i = 0; i < shape.batch * shape.channels; ++i)
    centers[static_cast<Index>(i)] = mean[i / shape.channels * shape.groups + i % shape.channels / shape.width];
  return centers;
}

void group_norm(const GroupNormArgs& args) {
  const Groups shape = groups_of(args.x, args.mean);
  if (args.x.numel() == 0) return;
  // Means first, then squares around them: one pass with E[x²] − mean² would lose the variance of a bright picture.
  const auto moments = [&](const float* centers) {
    return channel_sums(shape.batch, shape.positions, shape.channels,
                        [&](std::int64_t b, std::int64_t at, std::int64_t rows, float* first, float* second) {
                          HWY_DYNAMIC_DISPATCH(channel_moments)
                          (args.x, at, rows, shape.channels, centers ? centers + b * shape.channels : nullptr, first,
                           second);
                        });
  };
  float *mean = args.mean.as<float>(), *inverse = args.inverse.as<float>();
  const std::vector<double> means = group_means(shape, moments(nullptr), 0);
  for (Index i = 0; i < means.size(); ++i) mean[i] = static_cast<float>(means[i]);
  const std::vector<float> centers = centers_of(shape, mean);
  const std::vector<double> variances = group_means(shape, moments(centers.data()), 1);
  for (Index i = 0; i < variances.size(); ++i)
    inverse[i] = static_cast<float>(1 / std::sqrt(variances[i] + double{args.eps}));
  std::vector<float> tables(static_cast<Index>(shape.batch * 4 * shape.channels), 0.0f);
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      float* table = tables.data() + b * 4 * shape.channels + c;
      table[0] = inverse[b * shape.groups + c / shape.width] * (args.weight ? args.weight.as<const float>()[c] : 1.0f);
      table[shape.channels] = args.bias ? args.bias.as<const float>()[c] : 0.0f;
      table[3 * shape.channels] = centers[static_cast<Index>(b * shape.channels + c)];
    }
  scale_all(shape, args.x, {}, args.y, tables);
}

void group_norm_backward(const GroupNormBackwardArgs& args) {
  const Groups shape = groups_of(args.x, args.mean);
  const std::int64_t channels = shape.channels;
  const float *weight = args.weight.as<const float>(), *inverse = args.inverse.as<const float>();
  const std::vector<float> centers = centers_of(shape, args.mean.as<const float>());
  const std::vector<double> sums =
      channel_sums(shape.batch, shape.positions, channels,
                   [&](std::int64_t b, std::int64_t at, std::int64_t rows, float* first, float* second) {
                     HWY_DYNAMIC_DISPATCH(channel_slopes)
                     (args.x, args.grad_y, at, rows, channels, centers.data() + b * channels, first, second);
                   });
  std::vector<double> weighted = sums, grad_weight(static_cast<Index>(channels), 0.0),
                      grad_bias(static_cast<Index>(channels), 0.0);
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int64_t c = 0; c < channels; ++c) {
      const Index first = static_cast<Index>(b * 2 * channels + c), second = first + static_cast<Index>(channels);
      grad_bias[static_cast<Index>(c)] += sums[first];
      grad_weight[static_cast<Index>(c)] += sums[second] * double{inverse[b * shape.groups + c / shape.width]};
      if (weight) weighted[first] *= double{weight[c]};
      if (weight) weighted[second] *= double{weight[c]};
    }
  // grad_x = inverse·(g·w − mean(g·w) − normal·mean(g·w·normal))
  const std::vector<double> mean_sum = group_means(shape, weighted, 0), mean_dot = group_means(shape, weighted, 1);
  std::vector<float> tables(static_cast<Index>(shape.batch * 4 * channels), 0.0f);
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t group = b * shape.groups + c / shape.width;
      const double scale = double{inverse[group]};
      float* table = tables.data() + b * 4 * channels + c;
      table[0] = static_cast<float>(scale * (weight ? double{weight[c]} : 1.0));
      table[channels] = static_cast<float>(-scale * mean_sum[static_cast<Index>(group)]);
      table[2 * channels] = static_cast<float>(-scale * scale * scale * mean_dot[static_cast<Index>(group)]);
      table[3 * channels] = centers[static_cast<Index>(b * channels + c)];
    }
  scale_all(shape, args.x, args.grad_y, args.grad_x, tables);
  for (std::int64_t c = 0; c < channels; ++c) {
    if (args.grad_weight) args.grad_weight.as<float>()[c] = static_cast<float>(grad_weight[static_cast<Index>(c)]);
    if (args.grad_bias) args.grad_bias.as<float>()[c] = static_cast<float>(grad_bias[static_cast<Index>(c)]);
  }
}

}  // namespace

void add_layer_norm_kernels() {
  add_kernel<LayerNormArgs>(Device::cpu, "simd", layer_norm);
  add_kernel<LayerNormBackwardArgs>(Device::cpu, "simd", layer_norm_backward);
  add_kernel<GroupNormArgs>(Device::cpu, "simd", group_norm);
  add_kernel<GroupNormBackwardArgs>(Device::cpu, "simd", group_norm_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
