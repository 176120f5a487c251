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

}  // namespace orrery::onednn
