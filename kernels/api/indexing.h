// Ops by index: embedding rows, gather and scatter, top-k and sort.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// y[r] = table[ids[r]]. Embedding and index_select; also the gathering of tokens by expert.
struct EmbeddingArgs {
  static constexpr const char* kOp = "embedding";
  TensorView table;  ///< [rows, d] contiguous, any dtype
  TensorView ids;    ///< [n] i32, each in [0, rows); a negative one gives zeros
  TensorView y;      ///< [n, d] f32 or bf16
  Device device() const { return y.device; }
};

/// grad_table[ids[r]] += scale[r] · grad_y[r], each table row summed in the order of r.
struct EmbeddingBackwardArgs {
  static constexpr const char* kOp = "embedding_backward";
  TensorView grad_y;      ///< [n, d] f32 or bf16
  TensorView ids;         ///< [n] i32; negative: skipped
  TensorView scale;       ///< [n] f32, or not given: 1
  TensorView grad_table;  ///< [rows, d] f32 or bf16; other rows are left as they are
  Device device() const { return grad_y.device; }
};

/// y[o, j, i] = x[o, index[o, j, i], i]; the gathered dimension is in the middle.
struct GatherArgs {
  static constexpr const char* kOp = "gather";
  TensorView x;      ///< [outer, size, inner] contiguous
  TensorView index;  ///< [outer, count, inner] i32 in [0, size)
  TensorView y;      ///< [outer, count, inner] x's dtype
  Device device() const { return y.device; }
};

/// y[o, index[o, j, i], i] += x[o, j, i], in the order of j.
struct ScatterAddArgs {
  static constexpr const char* kOp = "scatter_add";
  TensorView x;      ///< [outer, count, inner] f32 or bf16
  TensorView index;  ///< [outer, count, inner] i32
  TensorView y;      ///< [outer, size, inner] f32 or bf16
  Device device() const { return y.device; }
};

/// The k largest of each row in falling order; equal values by rising index. NaN ranks with the worst.
/// k equal to the row's length is a sort.
struct TopKArgs {
  static constexpr const char* kOp = "top_k";
  TensorView x;            ///< [rows, n] contiguous, f32 or bf16
  TensorView values;       ///< [rows, k] x's dtype
  TensorView indices;      ///< [rows, k] i32
  bool ascending = false;  ///< the k smallest in rising order instead
  Device device() const { return x.device; }
};

}  // namespace orrery
