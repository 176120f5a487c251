// Experts of a decoding step: a warp a unit of a token's expert, then a warp a channel of a token. With few tokens each
// reads its own experts; the card's second cache has what they share.
#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/step_weights.cuh"

namespace orrery::gpu {

namespace {

// The expert of a token's slot; the last slot is the shared one's.
ORRERY_ON_DEVICE std::int64_t expert_of(const StepExpertsArgs& args, std::int64_t t, std::int64_t slot) {
  return slot == args.chosen ? args.experts : args.ids[t * args.chosen + slot];
}

template <class W, int kVec>
struct Active {
  StepExpertsArgs args;
  ORRERY_ON_DEVICE void operator()(std::int64_t row, int lane, unsigned char*) const {
    const std::int64_t slots = args.chosen + 1, unit = row % args.inner, slot = row / args.inner % slots,
                       t = row / (args.inner * slots), expert = expert_of(args, t, slot);
    const auto* w = static_cast<const W*>(args.gate_up.w.data);
    const float *scales = args.gate_up.scales, *x = args.x + t * args.width;
    const std::int64_t gate_row = expert * 2 * args.inner + unit, up_row = gate_row + args.inner;
    float gate = warp_sum(lane_dot<kVec>(w + gate_row * args.width, x, args.width, lane));
    float up = warp_sum(lane_dot<kVec>(w + up_row * args.width, x, args.width, lane));
    if (lane != 0) return;
    if (scales != nullptr) gate *= scales[gate_row], up *= scales[up_row];
    if (args.limit > 0) gate = fminf(gate, args.limit), up = fminf(fmaxf(up, -args.limit), args.limit);
    args.active[row] = gate * sigmoid(gate) * up;
  }
};

template <class W, int kVec>
struct Down {
  StepExpertsArgs args;
  ORRERY_ON_DEVICE void operator()(std::int64_t row, int lane, unsigned char*) const {
    const std::int64_t slots = args.chosen + 1, channel = row % args.width, t = row / args.width;
    const auto* w = static_cast<const W*>(args.down.w.data);
    float sum = 0;
    for (std::int64_t slot = 0; slot < slots; ++slot) {
      const std::int64_t at = expert_of(args, t, slot) * args.width + channel;
      float y = warp_sum(
          lane_dot<kVec>(w + at * args.inner, args.active + (t * slots + slot) * args.inner, args.inner, lane));
      if (args.down.scales != nullptr) y *= args.down.scales[at];
      sum += (slot == args.chosen ? 1.0f : args.weights[t * args.chosen + slot]) * y;
    }
    if (lane == 0) args.out[row] = sum;
  }
};

void experts(const StepExpertsArgs& args) {
  with_weights(args.gate_up, all_aligned(args.x) && args.width % 4 == 0, [&]<class W, int kVec>() {
    launch_rows(StepExpertsArgs::kOp, args.count * (args.chosen + 1) * args.inner, 0, Active<W, kVec>{args});
  });
  with_weights(args.down, all_aligned(args.active) && args.inner % 4 == 0, [&]<class W, int kVec>() {
    launch_rows(StepExpertsArgs::kOp, args.count * args.width, 0, Down<W, kVec>{args});
  });
}

}  // namespace

void add_step_experts_kernels() { add_kernel<StepExpertsArgs>(Device::cuda, "warps", experts); }

}  // namespace orrery::gpu
