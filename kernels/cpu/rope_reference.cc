// Plain-loop references of kernels/api/rope.h and compress.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/compress.h"
#include "kernels/api/registry.h"
#include "kernels/api/rope.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/reference.h"

namespace orrery {

namespace {

template <class T>
void rope(const RopeArgs& args) {
  const std::int64_t steps = args.x.shape[1], heads = args.x.shape[2], dim = args.x.shape[3];
  const std::int64_t pairs = args.cos.shape[1];
  for (std::int64_t row = 0; row < args.x.shape[0] * steps * heads; ++row) {
    const std::int64_t t = row / heads % steps;
    const std::int64_t first = row * dim + dim - 2 * pairs;
    for (std::int64_t i = row * dim; i < first; ++i) put<T>(args.y, i, at<T>(args.x, i));
    for (std::int64_t i = 0; i < pairs; ++i) {
      const double c = at<float>(args.cos, t * pairs + i);
      const double s = at<float>(args.sin, t * pairs + i) * (args.inverse ? -1 : 1);
      const double a = at<T>(args.x, first + 2 * i), b = at<T>(args.x, first + 2 * i + 1);
      put<T>(args.y, first + 2 * i, a * c - b * s);
      put<T>(args.y, first + 2 * i + 1, a * s + b * c);
    }
  }
}

struct Slot {
  double gate, kv;
  std::int64_t index;  // in kv and gate; −1: of prior
  std::int64_t bias;   // in bias
};

// The slots of channel `channel` of entry `entry`.
template <class T, class Args>
std::vector<Slot> slots_of(const Args& args, std::int64_t b, std::int64_t entry, std::int64_t channel) {
  const std::int64_t steps = args.kv.shape[1], width = args.kv.shape[2], rate = args.rate;
  const std::int64_t out_width = args.overlap ? width / 2 : width;
  std::vector<Slot> slots;
  const auto add = [&](std::int64_t window, std::int64_t c) {
    for (std::int64_t j = 0; j < rate; ++j) {
      const std::int64_t i = (b * steps + window * rate + j) * width + c;
      slots.push_back({at<T>(args.gate, i) + at<float>(args.bias, j * width + c), at<T>(args.kv, i), i, j * width + c});
    }
  };
  if (args.overlap && entry > 0) add(entry - 1, channel);
  if constexpr (requires { args.prior_kv; }) {
    if (args.overlap && entry == 0 && args.prior_kv)
      for (std::int64_t j = 0; j < rate; ++j) {
        const std::int64_t i = (b * rate + j) * width + channel;
        slots.push_back(
            {at<T>(args.prior_gate, i) + at<float>(args.bias, j * width + channel), at<T>(args.prior_kv, i), -1, 0});
      }
  }
  add(entry, args.overlap ? out_width + channel : channel);
  return slots;
}

// Turns the slots' gates into softmax weights.
void soften(std::vector<Slot>& slots) {
  double top = -std::numeric_limits<double>::infinity(), total = 0;
  for (const Slot& slot : slots) top = std::max(top, slot.gate);
  for (Slot& slot : slots) total += slot.gate = std::exp(slot.gate - top);
  for (Slot& slot : slots) slot.gate /= total;
}

template <class T>
void pool(const CompressPoolArgs& args) {
  const std::int64_t entries = args.out.shape[1], width = args.out.shape[2];
  for (std::int64_t b = 0; b < args.out.shape[0]; ++b)
    for (std::int64_t i = 0; i < entries; ++i)
      for (std::int64_t c = 0; c < width; ++c) {
        std::vector<Slot> slots = slots_of<T>(args, b, i, c);
        soften(slots);
        double sum = 0;
        for (const Slot& slot : slots) sum += slot.gate * slot.kv;
        put<T>(args.out, (b * entries + i) * width + c, sum);
      }
}

template <class T>
void pool_backward(const CompressPoolBackwardArgs& args) {
  const std::int64_t entries = args.out.shape[1], width = args.out.shape[2];
  std::vector<double> grad_bias = zeros(args.grad_bias.numel());
  for (std::int64_t i = 0; i < args.kv.numel(); ++i) {
    put<T>(args.grad_kv, i, 0);
    put<T>(args.grad_gate, i, 0);
  }
  for (std::int64_t b = 0; b < args.out.shape[0]; ++b)
    for (std::int64_t i = 0; i < entries; ++i)
      for (std::int64_t c = 0; c < width; ++c) {
        std::vector<Slot> slots = slots_of<T>(args, b, i, c);
        soften(slots);
        const double g = at<T>(args.grad_out, (b * entries + i) * width + c);
        double out = 0;
        for (const Slot& slot : slots) out += slot.gate * slot.kv;
        for (const Slot& slot : slots) {  // each token's channel belongs to one entry: a plain store
          const double grad_gate = slot.gate * (slot.kv - out) * g;
          put<T>(args.grad_kv, slot.index, slot.gate * g);
          put<T>(args.grad_gate, slot.index, grad_gate);
          grad_bias[idx(slot.bias)] += grad_gate;
        }
      }
  for (std::int64_t i = 0; i < args.grad_bias.numel(); ++i) put<float>(args.grad_bias, i, grad_bias[idx(i)]);
}

}  // namespace

void add_rope_reference_kernels() {
  add_kernel<RopeArgs>(Device::cpu, "reference",
                       [](const RopeArgs& args) { with_float_type(args.x.dtype, [&]<class T>() { rope<T>(args); }); });
}

void add_compress_reference_kernels() {
  add_kernel<CompressPoolArgs>(Device::cpu, "reference", [](const CompressPoolArgs& args) {
    with_float_type(args.kv.dtype, [&]<class T>() { pool<T>(args); });
  });
  add_kernel<CompressPoolBackwardArgs>(Device::cpu, "reference", [](const CompressPoolBackwardArgs& args) {
    with_float_type(args.kv.dtype, [&]<class T>() { pool_backward<T>(args); });
  });
}

}  // namespace orrery
