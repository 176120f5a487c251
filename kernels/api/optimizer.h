// What an optimiser does to one tensor. Everything is f32, contiguous and of one size.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// AdamW (Loshchilov & Hutter 2019): first ← β₁·first + (1 − β₁)·g, second ← β₂·second + (1 − β₂)·g², g = grad · scale;
/// value −= lr · (first · correction1 / (√(second · correction2) + eps) + decay · value).
struct AdamWArgs {
  static constexpr const char* kOp = "adamw";
  TensorView value, grad, first, second;
  float lr = 0, beta1 = 0, beta2 = 0, eps = 0, decay = 0;
  float correction1 = 1, correction2 = 1;  ///< 1 / (1 − βⁿ)
  float scale = 1;                         ///< of the gradient (clipping)
  Device device() const { return value.device; }
};

/// Muon's momentum (Jordan et al. 2024): momentum ← beta · momentum + g, look_ahead = g + beta · momentum,
/// g = grad · scale.
struct MuonMomentumArgs {
  static constexpr const char* kOp = "muon_momentum";
  TensorView grad, momentum, look_ahead;
  float beta = 0, scale = 1;
  Device device() const { return grad.device; }
};

/// value −= lr · (rms_scale · update + decay · value).
struct MuonUpdateArgs {
  static constexpr const char* kOp = "muon_update";
  TensorView value, update;
  float lr = 0, rms_scale = 1, decay = 0;
  Device device() const { return value.device; }
};

/// average ← decay · average + (1 − decay) · value.
struct AverageArgs {
  static constexpr const char* kOp = "average";
  TensorView average, value;
  float decay = 0;
  Device device() const { return value.device; }
};

}  // namespace orrery
