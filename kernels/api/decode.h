// Fixed-order kernels for generation: a token's result depends on its own inputs only, bit for bit, whatever the number
// of tokens in the call, the threads, or the sequences beside it.
#pragma once

#include <cstdint>

#include "kernels/api/types.h"

namespace orrery {

/// y[t, n] = Σ_k x[t, k] · w[n, k], each sum in one order that depends on k alone.
struct FixedMatmulArgs {
  static constexpr const char* kOp = "fixed_matmul";
  TensorView x;  ///< [T, k] f32, contiguous
  TensorView w;  ///< [n, k] f32 or bf16, contiguous
  TensorView y;  ///< [T, n] f32; rows may be strided
  Device device() const { return x.device; }
};

/// One query token against given rows (keys and values at once), with a sink a head in the denominator:
/// out[h] = Σ_r p[h, r] · row_r, p = softmax over rows and the sink of scale · q[h]·row_r.
struct DecodeAttentionArgs {
  static constexpr const char* kOp = "decode_attention";
  const float* q = nullptr;            ///< [H, D]
  const float* const* rows = nullptr;  ///< `count` rows of D values, in the order in which they are summed
  std::int64_t count = 0;
  const float* sinks = nullptr;  ///< [H]
  float* out = nullptr;          ///< [H, D]
  float* scratch = nullptr;      ///< [H, count]
  std::int64_t heads = 0, dim = 0;
  float scale = 1;
  Device device() const { return Device::cpu; }
};

}  // namespace orrery
