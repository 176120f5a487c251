// What the latent codec needs beside products: 3 × 3 neighbourhoods, and finite scalar quantisation.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// out[n, r, c] = x's nine neighbours of (r, c), row by row, zeros beyond the border.
struct UnfoldArgs {
  static constexpr const char* kOp = "unfold3x3";
  TensorView x;    ///< [N, rows, columns, channels] contiguous, f32 or bf16
  TensorView out;  ///< [N, rows, columns, 9 · channels] like x
  Device device() const { return x.device; }
};

/// The gradient of UnfoldArgs: each position sums what its nine neighbours took from it.
struct FoldArgs {
  static constexpr const char* kOp = "fold3x3";
  TensorView grad_out;  ///< [N, rows, columns, 9 · channels] contiguous, f32 or bf16
  TensorView grad_x;    ///< [N, rows, columns, channels] like grad_out, written
  Device device() const { return grad_x.device; }
};

inline constexpr int kMostFsqDims = 16;

/// Finite scalar quantisation (Mentzer et al. 2023): with t = tanh(x + shift), out = round(t · half − offset) / scale
/// and slope = (1 − t²) · half / scale, each dimension with its own numbers.
struct FsqArgs {
  static constexpr const char* kOp = "fsq";
  TensorView x;      ///< [..., dims] f32 contiguous
  TensorView out;    ///< like x
  TensorView slope;  ///< like x: the straight-through derivative
  int dims = 0;      ///< ≤ kMostFsqDims
  float half[kMostFsqDims] = {}, offset[kMostFsqDims] = {}, shift[kMostFsqDims] = {}, scale[kMostFsqDims] = {};
  Device device() const { return x.device; }
};

}  // namespace orrery
