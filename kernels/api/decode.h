// Fixed-order kernels for generation: a token's result depends on its own inputs only, bit for bit, whatever the number
// of tokens in the call, the threads, or the sequences beside it.
#pragma once

#include <cstdint>

#include "kernels/api/types.h"

namespace orrery {

/// y[t, n] = Σ_k x[t, k] · w[n, k], each sum in one order that depends on k alone. With i8 weights the inputs are
/// rounded to integers of 16 bits with a step a token (of fewer bits where k > 512, so that every sum fits into 32
/// bits), and sums are exact: the same on every machine.
struct FixedMatmulArgs {
  TensorView x;                   ///< [T, k] f32, contiguous
  TensorView w;                   ///< [n, k] f32, bf16 or i8 (in [-127, 127]), contiguous
  TensorView y;                   ///< [T, n] f32; rows may be strided
  const float* scales = nullptr;  ///< [n]; with i8: row n is its integers times this
};

/// Products that do not wait for one another: one is little work for several threads.
struct FixedMatmulsArgs {
  static constexpr const char* kOp = "fixed_matmul";
  const FixedMatmulArgs* each = nullptr;
  std::int64_t count = 0;
  Device device() const { return Device::cpu; }
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

/// Keys of the lightning indexer lie in blocks of so many: [blocks, D, kIndexBlock].
inline constexpr std::int64_t kIndexBlock = 32;

/// The `top` best of the first `visible` keys for one query token: score(e) = Σ_h w[h] · max(0, q[h]·key_e), equal
/// scores: the lowest key. Each score is one sum in an order of its own.
struct DecodeIndexArgs {
  static constexpr const char* kOp = "decode_index";
  const float* q = nullptr;       ///< [H, D]
  const float* w = nullptr;       ///< [H]
  const void* keys = nullptr;     ///< ⌈visible / kIndexBlock⌉ blocks
  const float* scales = nullptr;  ///< [visible], positive; with i8: a key is its integers times this
  DType dtype = DType::f32;       ///< of the keys: f32, bf16 or i8
  std::int64_t visible = 0, heads = 0, dim = 0, top = 0;
  std::int32_t* chosen = nullptr;  ///< [min(top, visible)] out, ascending
  Device device() const { return Device::cpu; }
};

}  // namespace orrery
