// Gated pooling of tokens to entries: a thread an entry's channel.
#include <algorithm>
#include <cmath>

#include "kernels/api/compress.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

// One window's slots of a channel: `rate` tokens, `width` values apart.
template <class T>
struct Slots {
  const T *kv, *gate;
  const float* bias;
  std::int64_t rate, width;
  ORRERY_ON_DEVICE float gate_at(std::int64_t j) const { return to_float(gate[j * width]) + bias[j * width]; }
  ORRERY_ON_DEVICE float kv_at(std::int64_t j) const { return to_float(kv[j * width]); }
};

struct Pooled {
  float top = -INFINITY, total = 0, value = 0;
  template <class T>
  ORRERY_ON_DEVICE void find_top(const Slots<T>& slots) {
    for (std::int64_t j = 0; j < slots.rate; ++j) top = fmaxf(top, slots.gate_at(j));
  }
  template <class T>
  ORRERY_ON_DEVICE void add(const Slots<T>& slots) {
    for (std::int64_t j = 0; j < slots.rate; ++j) {
      const float weight = expf(slots.gate_at(j) - top);
      total += weight;
      value += weight * slots.kv_at(j);
    }
  }
};

template <class T>
struct Pool {
  const T *kv, *gate;
  const float* bias;
  const T *prior_kv, *prior_gate;
  T* out;
  std::int64_t steps, width, entries, out_width, rate;
  bool overlap;

  /// The slots that window `window` of batch b gives with its channel `c`.
  ORRERY_ON_DEVICE Slots<T> slots(std::int64_t b, std::int64_t window, std::int64_t c) const {
    const std::int64_t at = (b * steps + window * rate) * width + c;
    return {kv + at, gate + at, bias + c, rate, width};
  }
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t c = i % out_width, entry = i / out_width % entries, b = i / out_width / entries;
    const Slots<T> now = slots(b, entry, overlap ? out_width + c : c);
    const bool prior = overlap && entry == 0 && prior_kv, before = overlap && entry > 0;
    Slots<T> earlier = now;
    if (before) earlier = slots(b, entry - 1, c);
    if (prior) earlier = {prior_kv + b * rate * width + c, prior_gate + b * rate * width + c, bias + c, rate, width};
    Pooled pooled;
    pooled.find_top(now);
    if (before || prior) pooled.find_top(earlier);
    if (before || prior) pooled.add(earlier);
    pooled.add(now);
    out[i] = from_float<T>(pooled.value / pooled.total);
  }
};

// A thread has one channel of a run of entries, and adds its bias gradients up in its own row of `partial`.
template <class T>
struct PoolBackward {
  Pool<T> forward;
  const T* grad_out;
  T *grad_kv, *grad_gate;
  float* partial;  ///< [runs, rate, width]
  std::int64_t all_entries, runs;

  ORRERY_ON_DEVICE void deliver(const Slots<T>& slots, const Pooled& pooled, float g, float* bias_sums) const {
    const std::int64_t at = slots.kv - forward.kv;
    const float out = pooled.value / pooled.total;
    for (std::int64_t j = 0; j < slots.rate; ++j) {
      const float weight = expf(slots.gate_at(j) - pooled.top) / pooled.total;
      const float grad = weight * (slots.kv_at(j) - out) * g;
      grad_kv[at + j * slots.width] = from_float<T>(weight * g);
      grad_gate[at + j * slots.width] = from_float<T>(grad);
      bias_sums[j * slots.width] += grad;
    }
  }
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const Pool<T>& f = forward;
    const std::int64_t c = i % f.out_width, run = i / f.out_width;
    float* sums = partial + run * f.rate * f.width + c;
    const std::int64_t late = f.overlap ? f.out_width : 0;
    for (std::int64_t j = 0; j < f.rate; ++j) {
      sums[j * f.width] = 0;
      sums[j * f.width + late] = 0;
    }
    for (std::int64_t e = all_entries * run / runs; e < all_entries * (run + 1) / runs; ++e) {
      const std::int64_t entry = e % f.entries, b = e / f.entries;
      const Slots<T> now = f.slots(b, entry, c + late);
      const bool before = f.overlap && entry > 0;
      const Slots<T> earlier = before ? f.slots(b, entry - 1, c) : now;
      Pooled pooled;
      pooled.find_top(now);
      if (before) pooled.find_top(earlier);
      if (before) pooled.add(earlier);
      pooled.add(now);
      const float g = to_float(grad_out[e * f.out_width + c]);
      if (before) deliver(earlier, pooled, g, sums);
      deliver(now, pooled, g, sums + late);
    }
  }
};

// What no entry reads has no gradient: the tokens after the last whole window, and with overlap the last window's
// first channels.
template <class T>
struct ClearUnread {
  T *grad_kv, *grad_gate;
  std::int64_t steps, width, entries, out_width, rate;
  bool overlap;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t c = i % width, t = i / width % steps;
    const bool read = overlap && c < out_width ? t < (entries - 1) * rate : t < entries * rate;
    if (read) return;
    grad_kv[i] = from_float<T>(0.0f);
    grad_gate[i] = from_float<T>(0.0f);
  }
};

template <class T, class Args>
Pool<T> pool_of(const Args& args) {
  return {args.kv.template as<const T>(),
          args.gate.template as<const T>(),
          args.bias.template as<const float>(),
          nullptr,
          nullptr,
          args.out.template as<T>(),
          args.kv.shape[1],
          args.kv.shape[2],
          args.out.shape[1],
          args.out.shape[2],
          args.rate,
          args.overlap};
}

void pool(const CompressPoolArgs& args) {
  with_float_type(args.kv.dtype, [&]<class T>() {
    Pool<T> kernel = pool_of<T>(args);
    kernel.prior_kv = args.prior_kv.as<const T>();
    kernel.prior_gate = args.prior_gate.as<const T>();
    launch_each(CompressPoolArgs::kOp, args.out.numel(), kernel);
  });
}

void pool_backward(const CompressPoolBackwardArgs& args) {
  const char* op = CompressPoolBackwardArgs::kOp;
  with_float_type(args.kv.dtype, [&]<class T>() {
    const Pool<T> forward = pool_of<T>(args);
    const std::int64_t all = args.out.shape[0] * forward.entries, sums = args.rate * forward.width;
    const std::int64_t runs = std::clamp<std::int64_t>(all / 4, 1, 256);
    auto* partial = static_cast<float*>(scratch(kScratchPartial, runs * sums * std::int64_t{sizeof(float)}));
    launch_each(op, args.kv.numel(),
                ClearUnread<T>{args.grad_kv.as<T>(), args.grad_gate.as<T>(), forward.steps, forward.width,
                               forward.entries, forward.out_width, args.rate, args.overlap});
    launch_each(op, runs * forward.out_width,
                PoolBackward<T>{forward, args.grad_out.as<const T>(), args.grad_kv.as<T>(), args.grad_gate.as<T>(),
                                partial, all, runs});
    sum_columns(op, partial, runs, sums, sums, args.grad_bias.as<float>());
  });
}

}  // namespace

void add_compress_kernels() {
  add_kernel<CompressPoolArgs>(Device::cuda, "channels", pool);
  add_kernel<CompressPoolBackwardArgs>(Device::cuda, "channels", pool_backward);
}

}  // namespace orrery::gpu
