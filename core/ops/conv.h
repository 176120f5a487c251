// Convolutions over two or three spatial dimensions, channels last (oneDNN's fast layout), recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// One value a spatial dimension, or one for all of them.
struct ConvOptions {
  std::vector<std::int64_t> stride = {1};
  std::vector<std::int64_t> padding = {0};  ///< zeros on both sides
  std::vector<std::int64_t> dilation = {1};
};

/// x [batch, rows, columns, in], weight [out, kr, kc, in], bias f32 [out] or undefined → [batch, rows′, columns′, out];
/// x f32 or bf16, weight x's dtype or f32. size′ = (size + 2·padding − dilation·(kernel − 1) − 1) / stride + 1.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
/// x [batch, time, rows, columns, in], weight [out, kt, kr, kc, in].
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});

/// Transposed: weight [in, kr, kc, out], size′ = (size − 1)·stride − 2·padding + dilation·(kernel − 1) + 1.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvOptions& options = {});
/// weight [in, kt, kr, kc, out].
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvOptions& options = {});

}  // namespace orrery::ops
