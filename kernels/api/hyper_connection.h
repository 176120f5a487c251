// Manifold-constrained hyper-connections (mHC; Xie et al. 2026, as DeepSeek-V4 uses them). The state is x [T, n, d].
//   mix  = fn · vec(x) · rsqrt(mean(vec(x)²) + norm_eps)                                            fn [(2+n)n, n·d]
//   pre  = σ(mix[0:n]·scale0 + base) + eps;  post = 2σ(mix[n:2n]·scale1 + base)
//   comb = softmax over rows' entries (mix[2n:]·scale2 + base as [n, n]) + eps; columns ÷ (their sum + eps);
//          then (iterations − 1) × (rows ÷ (sum + eps), columns ÷ (sum + eps))
//   hc_pre:  h = Σ_m pre_m · x_m            hc_post: y_k = post_k · f + Σ_m comb[m, k] · x_m
// With fn [n, n·d] (the head that ends the model) there is only pre.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

struct HcOptions {
  int iterations = 20;     ///< Sinkhorn rounds, ≥ 1
  float eps = 1e-6f;       ///< hc_eps
  float norm_eps = 1e-6f;  ///< rms eps
};

struct HcPreArgs {
  static constexpr const char* kOp = "hc_pre";
  TensorView x;        ///< [T, n, d] contiguous, f32 or bf16; n ≤ 8
  TensorView fn;       ///< [(2+n)n, n·d] f32, or [n, n·d]: pre only
  TensorView base;     ///< [(2+n)n] or [n] f32
  TensorView scale;    ///< [3] or [1] f32
  TensorView h;        ///< [T, d] like x
  TensorView mix;      ///< [T, (2+n)n] or [T, n] f32 out, kept for backward
  TensorView inverse;  ///< [T] f32 out: the rsqrt
  TensorView pre;      ///< [T, n] f32 out
  TensorView post;     ///< [T, n] f32 out; not given in the pre-only form
  TensorView comb;     ///< [T, n, n] f32 out; not given in the pre-only form
  HcOptions options;
  Device device() const { return x.device; }
};

struct HcPreBackwardArgs {
  static constexpr const char* kOp = "hc_pre_backward";
  TensorView x, fn, base, scale, mix, inverse, pre;
  TensorView grad_h;      ///< [T, d] like x
  TensorView grad_post;   ///< [T, n] f32; not given in the pre-only form
  TensorView grad_comb;   ///< [T, n, n] f32; not given in the pre-only form
  TensorView grad_x;      ///< like x, written
  TensorView grad_fn;     ///< like fn, written
  TensorView grad_base;   ///< like base, written
  TensorView grad_scale;  ///< like scale, written
  HcOptions options;
  Device device() const { return x.device; }
};

struct HcPostArgs {
  static constexpr const char* kOp = "hc_post";
  TensorView x;     ///< [T, n, d] contiguous, f32 or bf16
  TensorView f;     ///< [T, d] like x
  TensorView post;  ///< [T, n] f32
  TensorView comb;  ///< [T, n, n] f32
  TensorView y;     ///< [T, n, d] like x
  Device device() const { return x.device; }
};

struct HcPostBackwardArgs {
  static constexpr const char* kOp = "hc_post_backward";
  TensorView x, f, post, comb;
  TensorView grad_y;     ///< [T, n, d] like x
  TensorView grad_x;     ///< like x, written
  TensorView grad_f;     ///< like f, written
  TensorView grad_post;  ///< [T, n] f32, written
  TensorView grad_comb;  ///< [T, n, n] f32, written
  Device device() const { return x.device; }
};

}  // namespace orrery
