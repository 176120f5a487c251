// oneDNN 2 (Debian 12) and 3 (Debian 13) behind the same few functions. Only kernels/cpu/onednn*.cc include this.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace orrery::onednn {

inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.0f, algorithm, alpha, beta);
#endif
}

/// A zero `bias` descriptor means none. Throws dnnl::error when there is no implementation.
inline dnnl::matmul::primitive_desc matmul_descriptor(const dnnl::engine& engine, const dnnl::memory::desc& a,
                                                      const dnnl::memory::desc& b, const dnnl::memory::desc* bias,
                                                      const dnnl::memory::desc& c, const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  if (bias) return {engine, a, b, *bias, c, attr};
  return {engine, a, b, c, attr};
#else
  if (bias) return {dnnl::matmul::desc(a, b, *bias, c), attr, engine};
  return {dnnl::matmul::desc(a, b, c), attr, engine};
#endif
}

/// The layouts and steps of a convolution. `bias` is for forward only; nullptr: none.
struct ConvolutionLayout {
  dnnl::memory::desc x, weight, y;
  dnnl::memory::desc* bias = nullptr;
  dnnl::memory::dims strides, dilates, padding;
};

inline dnnl::convolution_forward::primitive_desc forward_descriptor(const dnnl::engine& engine,
                                                                    const ConvolutionLayout& c, dnnl::prop_kind kind,
                                                                    const dnnl::primitive_attr& attr) {
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  if (c.bias)
    return {engine, kind, kDirect, c.x, c.weight, *c.bias, c.y, c.strides, c.dilates, c.padding, c.padding, attr};
  return {engine, kind, kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding, attr};
#else
  if (c.bias)
    return {dnnl::convolution_forward::desc(kind, kDirect, c.x, c.weight, *c.bias, c.y, c.strides, c.dilates, c.padding,
                                            c.padding),
            attr, engine};
  return {
      dnnl::convolution_forward::desc(kind, kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding),
      attr, engine};
#endif
}

inline dnnl::convolution_backward_data::primitive_desc data_grad_descriptor(
    const dnnl::engine& engine, const ConvolutionLayout& c, const dnnl::convolution_forward::primitive_desc& hint,
    const dnnl::primitive_attr& attr) {
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding, hint, attr};
#else
  return {
      dnnl::convolution_backward_data::desc(kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding),
      attr, engine, hint};
#endif
}

inline dnnl::convolution_backward_weights::primitive_desc weight_grad_descriptor(
    const dnnl::engine& engine, const ConvolutionLayout& c, const dnnl::convolution_forward::primitive_desc& hint,
    const dnnl::primitive_attr& attr) {
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding, hint, attr};
#else
  return {
      dnnl::convolution_backward_weights::desc(kDirect, c.x, c.weight, c.y, c.strides, c.dilates, c.padding, c.padding),
      attr, engine, hint};
#endif
}

}  // namespace orrery::onednn
