// The optimisers' updates: a thread an element.
#include <cmath>

#include "kernels/api/optimizer.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

struct AdamW {
  float *w, *m, *v;
  const float* g;
  float lr, beta1, beta2, eps, decay, correction1, correction2, scale;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const float gradient = g[i] * scale;
    m[i] = beta1 * m[i] + (1 - beta1) * gradient;
    v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
    const float step = (m[i] * correction1) / (sqrtf(v[i] * correction2) + eps);
    w[i] -= lr * (step + decay * w[i]);
  }
};

struct MuonMomentum {
  const float* g;
  float *m, *out;
  float beta, scale;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    m[i] = beta * m[i] + g[i] * scale;
    out[i] = g[i] * scale + beta * m[i];
  }
};

struct MuonUpdate {
  float* w;
  const float* u;
  float lr, rms_scale, decay;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const { w[i] -= lr * (rms_scale * u[i] + decay * w[i]); }
};

struct Average {
  float* mean;
  const float* value;
  float decay;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const { mean[i] = decay * mean[i] + (1 - decay) * value[i]; }
};

void adamw(const AdamWArgs& s) {
  launch_each(AdamWArgs::kOp, s.value.numel(),
              AdamW{s.value.as<float>(), s.first.as<float>(), s.second.as<float>(), s.grad.as<const float>(), s.lr,
                    s.beta1, s.beta2, s.eps, s.decay, s.correction1, s.correction2, s.scale});
}

void muon_momentum(const MuonMomentumArgs& s) {
  launch_each(
      MuonMomentumArgs::kOp, s.grad.numel(),
      MuonMomentum{s.grad.as<const float>(), s.momentum.as<float>(), s.look_ahead.as<float>(), s.beta, s.scale});
}

void muon_update(const MuonUpdateArgs& s) {
  launch_each(MuonUpdateArgs::kOp, s.value.numel(),
              MuonUpdate{s.value.as<float>(), s.update.as<const float>(), s.lr, s.rms_scale, s.decay});
}

void average(const AverageArgs& s) {
  launch_each(AverageArgs::kOp, s.value.numel(), Average{s.average.as<float>(), s.value.as<const float>(), s.decay});
}

}  // namespace

void add_optimizer_kernels() {
  add_kernel<AdamWArgs>(Device::cuda, "elements", adamw);
  add_kernel<MuonMomentumArgs>(Device::cuda, "elements", muon_momentum);
  add_kernel<MuonUpdateArgs>(Device::cuda, "elements", muon_update);
  add_kernel<AverageArgs>(Device::cuda, "elements", average);
}

}  // namespace orrery::gpu
