// Grouping of tokens by expert, and the clamped SwiGLU.
#include "kernels/api/moe.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

ORRERY_ON_DEVICE std::int32_t ones(unsigned bits) {
  std::int32_t count = 0;
  for (; bits != 0; bits &= bits - 1) ++count;
  return count;
}

// A block an expert: how many slots are its own.
struct CountSlots {
  const std::int32_t* ids;
  std::int32_t* offsets;  ///< its count goes to offsets[expert + 1]
  std::int64_t slots;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    std::int32_t count = 0;
    for (std::int64_t i = block.thread; i < slots; i += block.threads) count += ids[i] == block.index ? 1 : 0;
    count = block_sum(block, count, block.memory);
    if (block.thread == 0) offsets[block.index + 1] = count;
  }
};

struct SumOffsets {
  std::int32_t* offsets;
  std::int64_t experts;
  ORRERY_ON_DEVICE void operator()(std::int64_t) const {
    offsets[0] = 0;
    for (std::int64_t e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
  }
};

// A block an expert: its slots in their order.
struct PlaceSlots {
  const std::int32_t *ids, *offsets;
  std::int32_t *order, *inverse;
  std::int64_t slots;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    std::int32_t* counts = reinterpret_cast<std::int32_t*>(block.memory);
    std::int32_t next = offsets[block.index];
    for (std::int64_t first = 0; first < slots; first += block.threads) {
      const std::int64_t i = first + block.thread;
      const bool mine = i < slots && ids[i] == block.index;
      const unsigned bits = ballot(mine);
      if (block.lane() == 0) counts[block.warp()] = ones(bits);
      block.sync();
      std::int32_t before = 0, total = 0;
      for (int w = 0; w < block.warps(); ++w) {
        if (w < block.warp()) before += counts[w];
        total += counts[w];
      }
      if (mine) {
        const std::int32_t row = next + before + ones(bits & ((1u << block.lane()) - 1u));
        order[row] = static_cast<std::int32_t>(i);
        inverse[i] = row;
      }
      next += total;
      block.sync();
    }
  }
};

template <class T>
struct GatherRows {
  const T* x;
  const std::int32_t* order;
  T* y;
  std::int64_t d, count;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [row, c] = divided(i, d);
    y[i] = x[divided(order[row], count).quotient * d + c];
  }
};

template <class T>
struct Combine {
  const T* y;
  const std::int32_t* inverse;
  const float* weights;
  T* out;
  std::int64_t d, count;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [t, c] = divided(i, d);
    float sum = 0;
    for (std::int64_t j = t * count; j < (t + 1) * count; ++j)
      sum += (weights ? weights[j] : 1.0f) * to_float(y[inverse[j] * d + c]);
    out[i] = from_float<T>(sum);
  }
};

// A warp a slot.
template <class T>
struct CombineBackward {
  const T* y;
  const std::int32_t* inverse;
  const float* weights;
  const T* grad_out;
  T* grad_y;
  float* grad_weights;
  std::int64_t d, count;
  ORRERY_ON_DEVICE void operator()(std::int64_t slot, int lane, unsigned char*) const {
    const std::int64_t t = slot / count, row = inverse[slot];
    const float weight = weights ? weights[slot] : 1.0f;
    float dot = 0;
    for (std::int64_t c = lane; c < d; c += kWarp) {
      const float g = to_float(grad_out[t * d + c]);
      dot += g * to_float(y[row * d + c]);
      grad_y[row * d + c] = from_float<T>(weight * g);
    }
    dot = warp_sum(dot);
    if (grad_weights && lane == 0) grad_weights[slot] = dot;
  }
};

struct Clamped {
  float gate, up;
  bool gate_free, up_free;  // false: held by the clamp
};

ORRERY_ON_DEVICE Clamped clamped(float gate, float up, float limit) {
  if (limit <= 0) return {gate, up, true, true};
  return {fminf(gate, limit), fminf(fmaxf(up, -limit), limit), gate <= limit, up >= -limit && up <= limit};
}

template <class T>
struct Swiglu {
  const T *gate, *up;
  T* out;
  std::int64_t width, gate_stride, up_stride, out_stride;
  float limit;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [row, c] = divided(i, width);
    const Clamped v = clamped(to_float(gate[row * gate_stride + c]), to_float(up[row * up_stride + c]), limit);
    out[row * out_stride + c] = from_float<T>(v.gate * sigmoid(v.gate) * v.up);
  }
};

template <class T>
struct SwigluBackward {
  const T *gate, *up, *grad_out;
  T *grad_gate, *grad_up;
  std::int64_t width, gate_stride, up_stride, out_stride, grad_gate_stride, grad_up_stride;
  float limit;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [row, c] = divided(i, width);
    const Clamped v = clamped(to_float(gate[row * gate_stride + c]), to_float(up[row * up_stride + c]), limit);
    const float g = to_float(grad_out[row * out_stride + c]), s = sigmoid(v.gate);
    grad_gate[row * grad_gate_stride + c] = from_float<T>(v.gate_free ? g * v.up * s * (1 + v.gate * (1 - s)) : 0.0f);
    grad_up[row * grad_up_stride + c] = from_float<T>(v.up_free ? g * v.gate * s : 0.0f);
  }
};

void plan(const MoePlanArgs& args) {
  const char* op = MoePlanArgs::kOp;
  const auto* ids = args.ids.as<const std::int32_t>();
  auto* offsets = args.offsets.as<std::int32_t>();
  const std::int64_t experts = args.offsets.shape[0] - 1, slots = args.ids.numel();
  launch_blocks(op, experts, kThreads, kReduceBytes, CountSlots{ids, offsets, slots});
  launch_each(op, 1, SumOffsets{offsets, experts});
  launch_blocks(op, experts, kThreads, kReduceBytes,
                PlaceSlots{ids, offsets, args.order.as<std::int32_t>(), args.inverse.as<std::int32_t>(), slots});
}

void gather(const MoeGatherArgs& args) {
  const std::int64_t tokens = args.x.shape[0], count = tokens == 0 ? 1 : args.y.shape[0] / tokens;
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_each(MoeGatherArgs::kOp, args.y.numel(),
                GatherRows<T>{args.x.as<const T>(), args.order.as<const std::int32_t>(), args.y.as<T>(),
                              args.x.shape[1], count});
  });
}

void combine(const MoeCombineArgs& args) {
  const std::int64_t tokens = args.out.shape[0], count = tokens == 0 ? 1 : args.inverse.numel() / tokens;
  with_float_type(args.y.dtype, [&]<class T>() {
    launch_each(MoeCombineArgs::kOp, args.out.numel(),
                Combine<T>{args.y.as<const T>(), args.inverse.as<const std::int32_t>(), args.weights.as<const float>(),
                           args.out.as<T>(), args.out.shape[1], count});
  });
}

void combine_backward(const MoeCombineBackwardArgs& args) {
  const std::int64_t tokens = args.grad_out.shape[0], slots = args.inverse.numel(),
                     count = tokens == 0 ? 1 : slots / tokens;
  with_float_type(args.y.dtype, [&]<class T>() {
    launch_rows(MoeCombineBackwardArgs::kOp, slots, 0,
                CombineBackward<T>{args.y.as<const T>(), args.inverse.as<const std::int32_t>(),
                                   args.weights.as<const float>(), args.grad_out.as<const T>(), args.grad_y.as<T>(),
                                   args.grad_weights.as<float>(), args.grad_out.shape[1], count});
  });
}

void swiglu(const SwigluArgs& args) {
  with_float_type(args.gate.dtype, [&]<class T>() {
    launch_each(SwigluArgs::kOp, args.gate.numel(),
                Swiglu<T>{args.gate.as<const T>(), args.up.as<const T>(), args.out.as<T>(), args.gate.shape[1],
                          args.gate.strides[0], args.up.strides[0], args.out.strides[0], args.limit});
  });
}

void swiglu_backward(const SwigluBackwardArgs& args) {
  with_float_type(args.gate.dtype, [&]<class T>() {
    launch_each(SwigluBackwardArgs::kOp, args.gate.numel(),
                SwigluBackward<T>{args.gate.as<const T>(), args.up.as<const T>(), args.grad_out.as<const T>(),
                                  args.grad_gate.as<T>(), args.grad_up.as<T>(), args.gate.shape[1],
                                  args.gate.strides[0], args.up.strides[0], args.grad_out.strides[0],
                                  args.grad_gate.strides[0], args.grad_up.strides[0], args.limit});
  });
}

}  // namespace

void add_moe_kernels() {
  add_kernel<MoePlanArgs>(Device::cuda, "blocks", plan);
  add_kernel<MoeGatherArgs>(Device::cuda, "elements", gather);
  add_kernel<MoeCombineArgs>(Device::cuda, "elements", combine);
  add_kernel<MoeCombineBackwardArgs>(Device::cuda, "warps", combine_backward);
  add_kernel<SwigluArgs>(Device::cuda, "elements", swiglu);
  add_kernel<SwigluBackwardArgs>(Device::cuda, "elements", swiglu_backward);
}

}  // namespace orrery::gpu
