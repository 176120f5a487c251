// Manifold-constrained hyper-connections (mHC) as differentiable operations; formulas in
// kernels/api/hyper_connection.h.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

struct HyperConnectionOptions {
  int iterations = 20;     ///< Sinkhorn rounds, ≥ 1
  float eps = 1e-6f;       ///< hc_eps
  float norm_eps = 1e-6f;  ///< rms eps
};

struct HyperConnection {
  Tensor h;     ///< [..., d]: what the block reads
  Tensor post;  ///< [..., n] f32; undefined for a head
  Tensor comb;  ///< [..., n, n] f32, comb[m, k] from stream m to stream k; undefined for a head
};

/// Reads a block's input off the n streams of x [..., n, d] (f32 or bf16; n ≤ 8).
/// fn [(2+n)n, n·d], base [(2+n)n], scale [3], all f32; or, for the head that ends the model: [n, n·d], [n], [1].
HyperConnection hc_pre(const Tensor& x, const Tensor& fn, const Tensor& base, const Tensor& scale,
                       const HyperConnectionOptions& options);

/// Writes a block's output f [..., d] back: y_k = post_k · f + Σ_m comb[m, k] · x_m, like x [..., n, d].
Tensor hc_post(const Tensor& x, const Tensor& f, const Tensor& post, const Tensor& comb);

}  // namespace orrery::ops
