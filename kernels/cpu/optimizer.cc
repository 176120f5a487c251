// The optimisers' updates: one loop each.
#include "kernels/api/optimizer.h"

#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/training.h"

namespace orrery {

namespace {

constexpr std::int64_t kGrain = 1 << 14;

void adamw(const AdamWArgs& s) {
  float *w = s.value.as<float>(), *m = s.first.as<float>(), *v = s.second.as<float>();
  const float* g = s.grad.as<const float>();
  parallel_blocks(s.value.numel(), kGrain, [=, &s](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * s.scale;
      m[i] = s.beta1 * m[i] + (1 - s.beta1) * gradient;
      v[i] = s.beta2 * v[i] + (1 - s.beta2) * gradient * gradient;
      const float step = (m[i] * s.correction1) / (std::sqrt(v[i] * s.correction2) + s.eps);
      w[i] -= s.lr * (step + s.decay * w[i]);
    }
  });
}

void muon_momentum(const MuonMomentumArgs& s) {
  const float* g = s.grad.as<const float>();
  float *m = s.momentum.as<float>(), *out = s.look_ahead.as<float>();
  parallel_blocks(s.grad.numel(), kGrain, [=, &s](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      m[i] = s.beta * m[i] + g[i] * s.scale;
      out[i] = g[i] * s.scale + s.beta * m[i];
    }
  });
}

void muon_update(const MuonUpdateArgs& s) {
  float* w = s.value.as<float>();
  const float* u = s.update.as<const float>();
  parallel_blocks(s.value.numel(), kGrain, [=, &s](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) w[i] -= s.lr * (s.rms_scale * u[i] + s.decay * w[i]);
  });
}

void average(const AverageArgs& s) {
  float* mean = s.average.as<float>();
  const float* value = s.value.as<const float>();
  parallel_blocks(s.value.numel(), kGrain, [=, &s](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) mean[i] = s.decay * mean[i] + (1 - s.decay) * value[i];
  });
}

}  // namespace

void add_optimizer_kernels() {
  add_kernel<AdamWArgs>(Device::cpu, "reference", adamw);
  add_kernel<MuonMomentumArgs>(Device::cpu, "reference", muon_momentum);
  add_kernel<MuonUpdateArgs>(Device::cpu, "reference", muon_update);
  add_kernel<AverageArgs>(Device::cpu, "reference", average);
}

}  // namespace orrery
