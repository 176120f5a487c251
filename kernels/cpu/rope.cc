// The fast kernels of kernels/api/rope.h and compress.h on Highway.
#include "kernels/api/rope.h"

#include <limits>
#include <vector>

#include "kernels/api/compress.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rope.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Rows are (batch, step); `buffer` holds one row [H, D] in f32. The compiler turns the pairs' loop into vectors.
template <class T>
void rope_rows_of(const RopeArgs& args, std::int64_t begin, std::int64_t end, float* buffer) {
  const std::int64_t heads = args.x.shape[2], dim = args.x.shape[3], width = heads * dim, pairs = args.cos.shape[1];
  for (std::int64_t row = begin; row < end; ++row) {
    const float* cos = args.cos.as<const float>() + row % args.x.shape[1] * pairs;
    const float* sin = args.sin.as<const float>() + row % args.x.shape[1] * pairs;
    widen_row(args.x.as<const T>() + row * width, buffer, width, width, 1.0f);
    const float sign = args.inverse ? -1.0f : 1.0f;
    for (std::int64_t h = 0; h < heads; ++h) {
      float* x = buffer + (h + 1) * dim - 2 * pairs;
      for (std::int64_t i = 0; i < pairs; ++i) {
        const float a = x[2 * i], b = x[2 * i + 1], s = sign * sin[i];
        x[2 * i] = a * cos[i] - b * s;
        x[2 * i + 1] = a * s + b * cos[i];
      }
    }
    narrow_row(buffer, args.y.as<T>() + row * width, width, 1.0f);
  }
}

void rope_rows(const RopeArgs& args, std::int64_t begin, std::int64_t end, float* buffer) {
  args.x.dtype == DType::bf16 ? rope_rows_of<BFloat16>(args, begin, end, buffer)
                              : rope_rows_of<float>(args, begin, end, buffer);
}

// The slots of entry `entry` for channels from c: calls body(kv, gate, bias, grad offset or −1).
template <class T, class Args, class Body>
HWY_INLINE void for_slots(const Args& args, std::int64_t b, std::int64_t entry, const Body& body) {
  const std::int64_t steps = args.kv.shape[1], width = args.kv.shape[2], rate = args.rate;
  const T *kv = args.kv.template as<const T>(), *gate = args.gate.template as<const T>();
  const float* bias = args.bias.template as<const float>();
  if constexpr (requires { args.prior_kv; }) {
    if (args.overlap && entry == 0 && args.prior_kv)
      for (std::int64_t j = 0; j < rate; ++j) {
        const std::int64_t at = (b * rate + j) * width;
        body(args.prior_kv.template as<const T>() + at, args.prior_gate.template as<const T>() + at, bias + j * width,
             at);
      }
  }
  const std::int64_t late = args.overlap ? width / 2 : 0;
  for (std::int64_t window = args.overlap && entry > 0 ? entry - 1 : entry; window <= entry; ++window)
    for (std::int64_t j = 0; j < rate; ++j) {
      const std::int64_t at = (b * steps + window * rate + j) * width + (window == entry ? late : 0);
      body(kv + at, gate + at, bias + j * width + (window == entry ? late : 0), at);
    }
}

template <class T>
void pool_entry(const CompressPoolArgs& args, std::int64_t b, std::int64_t entry) {
  const std::int64_t width = args.out.shape[2];
  T* out = args.out.as<T>() + (b * args.out.shape[1] + entry) * width;
  for_vectors(width, [&](std::int64_t, auto get, auto put) HWY_ATTR {
    Vec top = set(-std::numeric_limits<float>::infinity()), total = zero(), sum = zero();
    for_slots<T>(args, b, entry, [&](const T*, const T* gate, const float* bias, std::int64_t) HWY_ATTR {
      top = hn::Max(top, hn::Add(get(gate), get(bias)));
    });
    for_slots<T>(args, b, entry, [&](const T* kv, const T* gate, const float* bias, std::int64_t) HWY_ATTR {
      const Vec p = exp(hn::Sub(hn::Add(get(gate), get(bias)), top));
      total = hn::Add(total, p);
      sum = hn::MulAdd(p, get(kv), sum);
    });
    put(hn::Div(sum, total), out);
  });
}

// `share` [m, C]: the gradient of bias from the entries of one chunk.
template <class T>
void pool_entry_backward(const CompressPoolBackwardArgs& args, std::int64_t b, std::int64_t entry, float* share) {
  const std::int64_t width = args.out.shape[2];
  const T* grad_out = args.grad_out.as<const T>() + (b * args.out.shape[1] + entry) * width;
  T *grad_kv = args.grad_kv.as<T>(), *grad_gate = args.grad_gate.as<T>();
  for_vectors(width, [&](std::int64_t, auto get, auto put) HWY_ATTR {
    Vec top = set(-std::numeric_limits<float>::infinity()), total = zero(), sum = zero();
    for_slots<T>(args, b, entry, [&](const T*, const T* gate, const float* bias, std::int64_t) HWY_ATTR {
      top = hn::Max(top, hn::Add(get(gate), get(bias)));
    });
    for_slots<T>(args, b, entry, [&](const T* kv, const T* gate, const float* bias, std::int64_t) HWY_ATTR {
      const Vec p = exp(hn::Sub(hn::Add(get(gate), get(bias)), top));
      total = hn::Add(total, p);
      sum = hn::MulAdd(p, get(kv), sum);
    });
    const Vec part = hn::Div(set(1.0f), total), out = hn::Mul(sum, part), g = get(grad_out);
    for_slots<T>(args, b, entry, [&](const T* kv, const T* gate, const float* bias, std::int64_t at) HWY_ATTR {
      const Vec p = hn::Mul(part, exp(hn::Sub(hn::Add(get(gate), get(bias)), top)));
      const Vec grad = hn::Mul(hn::Mul(p, g), hn::Sub(get(kv), out));
      float* to = share + (bias - args.bias.as<const float>());
      put(hn::Mul(p, g), grad_kv + at);
      put(grad, grad_gate + at);
      put(hn::Add(get(to), grad), to);
    });
  });
}

template <class T>
void clear_values(T* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = T{};
}

// Zeros where no entry reads: after the last whole window, and the early half of the last window's channels.
template <class T>
void clear_unread(const CompressPoolBackwardArgs& args, std::int64_t b) {
  const std::int64_t steps = args.kv.shape[1], width = args.kv.shape[2], entries = args.out.shape[1];
  for (std::int64_t t = std::max<std::int64_t>(0, entries - 1) * args.rate; t < steps; ++t) {
    const std::int64_t unread = t >= entries * args.rate ? width : args.overlap ? width / 2 : 0;
    clear_values(args.grad_kv.as<T>() + (b * steps + t) * width, unread);
    clear_values(args.grad_gate.as<T>() + (b * steps + t) * width, unread);
  }
}

void pool_entries(const CompressPoolArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t entries = args.out.shape[1];
  for (std::int64_t i = begin; i < end; ++i)
    args.kv.dtype == DType::bf16 ? pool_entry<BFloat16>(args, i / entries, i % entries)
                                 : pool_entry<float>(args, i / entries, i % entries);
}

void pool_entries_backward(const CompressPoolBackwardArgs& args, std::int64_t begin, std::int64_t end, float* share) {
  const std::int64_t entries = args.out.shape[1];
  clear_values(share, args.bias.numel());
  for (std::int64_t i = begin; i < end; ++i)
    args.kv.dtype == DType::bf16 ? pool_entry_backward<BFloat16>(args, i / entries, i % entries, share)
                                 : pool_entry_backward<float>(args, i / entries, i % entries, share);
}

void clear_unread_of(const CompressPoolBackwardArgs& args, std::int64_t b) {
  args.kv.dtype == DType::bf16 ? clear_unread<BFloat16>(args, b) : clear_unread<float>(args, b);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(rope_rows);
HWY_EXPORT(pool_entries);
HWY_EXPORT(pool_entries_backward);
HWY_EXPORT(clear_unread_of);

void rope(const RopeArgs& args) {
  const std::int64_t rows = args.x.shape[0] * args.x.shape[1], width = args.x.shape[2] * args.x.shape[3];
  parallel_blocks(rows, 1 + (1 << 14) / std::max<std::int64_t>(1, width), [&](std::int64_t begin, std::int64_t end) {
    static thread_local Arena arena;
    arena.reset(width);
    HWY_DYNAMIC_DISPATCH(rope_rows)(args, begin, end, arena.take(width));
  });
}

void compress_pool(const CompressPoolArgs& args) {
  parallel_blocks(args.out.shape[0] * args.out.shape[1], 16, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(pool_entries)(args, begin, end);
  });
}

void compress_pool_backward(const CompressPoolBackwardArgs& args) {
  const std::int64_t batch = args.out.shape[0], entries = batch * args.out.shape[1], width = args.bias.numel();
  const std::int64_t length = std::max<std::int64_t>(4, (entries + 15) / 16), chunks = (entries + length - 1) / length;
  for (std::int64_t b = 0; b < batch; ++b) HWY_DYNAMIC_DISPATCH(clear_unread_of)(args, b);
  std::vector<float> shares(static_cast<std::size_t>(chunks * width));
  parallel_tasks(chunks, [&](std::int64_t chunk) {
    HWY_DYNAMIC_DISPATCH(pool_entries_backward)
    (args, chunk * length, std::min(entries, (chunk + 1) * length), shares.data() + chunk * width);
  });
  add_rows(shares.data(), chunks, width, args.grad_bias.as<float>());
}

}  // namespace

void add_rope_kernels() {
  add_kernel<RopeArgs>(Device::cpu, "simd", rope);
  add_kernel<CompressPoolArgs>(Device::cpu, "simd", compress_pool);
  add_kernel<CompressPoolBackwardArgs>(Device::cpu, "simd", compress_pool_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
