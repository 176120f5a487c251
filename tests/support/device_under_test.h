// The device that check_op and check_parity hold against the CPU's references: the CPU itself, unless the program that
// runs the cases sets another one first (tests/kernels/cuda).
#pragma once

#include <vector>

#include "core/tensor/tensor.h"

namespace orrery::test {

inline Device& device_under_test() {
  static Device device = Device::cpu;
  return device;
}

/// Called before each further run on the device: the CPU twin of a card then takes its threads the other way round.
inline void (*&before_rerun())() {
  static void (*function)() = [] {};
  return function;
}

/// x on `device` with the same strides; undefined stays undefined.
inline Tensor on_device(const Tensor& x, Device device) {
  if (!x.defined() || x.device() == device) return x;
  if (x.contiguous()) return x.to(device);
  std::int64_t extent = 1;
  for (int d = 0; d < x.rank(); ++d) extent += (x.dim(d) - 1) * x.strides()[static_cast<std::size_t>(d)];
  Tensor storage = Tensor::zeros({extent}, x.dtype());
  storage.alias(x.shape(), x.strides(), 0).copy_from(x);
  return storage.to(device).alias(x.shape(), x.strides(), 0);
}
inline Tensor on_device(const Tensor& x) { return on_device(x, device_under_test()); }

}  // namespace orrery::test
