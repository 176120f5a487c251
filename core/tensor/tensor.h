// Eager tensors: a cheap handle on shared storage with shape and strides, plus what the tape needs to know.
// Copying a Tensor copies the handle. Methods here never record gradients; differentiable operations are in core/ops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "kernels/api/types.h"

namespace orrery {

/// Sizes of the dimensions, outermost first.
using Shape = std::vector<std::int64_t>;

/// "[2, 3]"
std::string to_string(const Shape& shape);
std::int64_t numel(const Shape& shape);

class Random;
struct TapeNode;

namespace detail {
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::i8;
};
struct TensorImpl;
}  // namespace detail

class Tensor {
 public:
  /// Undefined: stands for "not given".
  Tensor() = default;

  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);
  static Tensor full(Shape shape, float value, DType dtype = DType::f32, Device device = Device::cpu);
  /// Like `other`: its shape, dtype and device.
  static Tensor empty_like(const Tensor& other) { return empty(other.shape(), other.dtype(), other.device()); }
  static Tensor zeros_like(const Tensor& other) { return zeros(other.shape(), other.dtype(), other.device()); }
  /// Copies `values` in; numel must match. T: float, BFloat16, std::int32_t or std::int8_t.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }
  static Tensor from(std::initializer_list<float> values, Shape shape) {
    return from(std::span<const float>(values.begin(), values.size()), std::move(shape));
  }
  /// Normal numbers with the given deviation; the same for the same random state.
  static Tensor randn(Shape shape, Random& random, float deviation = 1.0f);
  static Tensor uniform(Shape shape, Random& random, float low, float high);

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  const Shape& strides() const;
  int rank() const { return static_cast<int>(shape().size()); }
  /// Size of dimension `index`; negative counts from the end.
  std::int64_t dim(int index) const;
  std::int64_t numel() const;
  DType dtype() const;
  Device device() const;
  bool contiguous() const;
  std::int64_t bytes() const { return numel() * size_of(dtype()); }

  void* raw() const;
  /// Pointer to the first element; throws unless T is the dtype and the tensor is contiguous on the CPU.
  template <class T>
  T* data() const;
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  /// The one value of a tensor of one f32 or bf16 element.
  float item() const;
  /// All values in row-major order as f32 (any dtype, any strides).
  std::vector<float> to_vector() const;

  /// What kernels see. An undefined tensor gives a view without data.
  TensorView view() const;

  /// Another view of the same storage; `offset` in elements from this tensor's first element. Not recorded.
  Tensor alias(Shape shape, Shape strides, std::int64_t offset) const;
  /// The same elements under another shape (contiguous only; one dimension may be −1). Not recorded.
  Tensor reshaped(Shape shape) const;
  /// The same storage without a tape.
  Tensor detach() const;
  /// A contiguous copy. Not recorded.
  Tensor clone() const;
  Tensor to(DType dtype) const;
  /// This tensor where it is there already, else a contiguous copy. Not recorded. Throws InputError when the machine
  /// has no such device.
  Tensor to(Device device) const;
  /// Moves the elements (row-major) for every handle of this tensor; other views of the storage stay behind.
  void move_to(Device device) const;
  void fill(float value);
  void copy_from(const Tensor& other);

  // Tape (core/autograd/autograd.h).
  bool requires_grad() const;
  /// Marks a leaf (a parameter): backward() leaves its gradient in grad(). Floating dtypes only.
  Tensor& set_requires_grad(bool value);
  /// The accumulated gradient; undefined before the first backward().
  Tensor grad() const;
  void set_grad(Tensor grad) const;
  void clear_grad() const { set_grad(Tensor()); }

  /// Identity of the handle's target, for maps.
  const void* id() const { return impl_.get(); }

 private:
  friend struct detail::TensorImpl;
  std::shared_ptr<detail::TensorImpl> impl_;
};

}  // namespace orrery
