#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/base/random.h"
#include "core/ops/backends.h"
#include "core/tensor/allocator.h"
#include "core/tensor/device.h"
#include "core/tensor/tensor_impl.h"
#include "kernels/api/bfloat16.h"
#include "kernels/api/copy.h"
#include "kernels/api/device_memory.h"

namespace orrery {

using detail::TensorImpl;

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::int64_t numel(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

namespace {

Shape row_major_strides(const Shape& shape) {
  Shape strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

float load(const void* data, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::f32:
      return static_cast<const float*>(data)[index];
    case DType::bf16:
      return to_float(static_cast<const BFloat16*>(data)[index]);
    case DType::i32:
      return static_cast<float>(static_cast<const std::int32_t*>(data)[index]);
    case DType::i8:
      return static_cast<const std::int8_t*>(data)[index];
  }
  return 0;
}

void store(void* data, DType dtype, std::int64_t index, float value) {
  switch (dtype) {
    case DType::f32:
      static_cast<float*>(data)[index] = value;
      break;
    case DType::bf16:
      static_cast<BFloat16*>(data)[index] = from_float<BFloat16>(value);
      break;
    case DType::i32:
      static_cast<std::int32_t*>(data)[index] = static_cast<std::int32_t>(value);
      break;
    case DType::i8:
      static_cast<std::int8_t*>(data)[index] = static_cast<std::int8_t>(value);
      break;
  }
}

// Calls visit(flat, offset) for each element in row-major order; offset counts elements under the view's strides.
template <class Visit>
void for_each_element(const TensorView& view, Visit visit) {
  const std::int64_t total = view.numel();
  std::int64_t index[kMaxRank] = {};
  std::int64_t offset = 0;
  for (std::int64_t flat = 0; flat < total; ++flat) {
    visit(flat, offset);
    for (int d = view.rank - 1; d >= 0; --d) {
      offset += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      offset -= view.strides[d] * view.shape[d];
      index[d] = 0;
    }
  }
}

void check_shape(const Shape& shape) {
  ORRERY_CHECK(shape.size() <= static_cast<std::size_t>(kMaxRank), "[tensor] shape ", to_string(shape),
               " has more than ", kMaxRank, " dimensions");
  std::int64_t total = 1;
  for (const std::int64_t size : shape) {
    ORRERY_CHECK(size >= 0, "[tensor] shape ", to_string(shape), " has a negative size");
    ORRERY_CHECK(
        !__builtin_mul_overflow(total, std::max<std::int64_t>(size, 1), &total) && total < (std::int64_t{1} << 50),
        "[tensor] shape ", to_string(shape), " is too large");
  }
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  check_shape(shape);
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = allocate(orrery::numel(shape) * size_of(dtype), device);
  impl->strides = row_major_strides(shape);
  impl->shape = std::move(shape);
  impl->dtype = dtype;
  impl->device = device;
  return TensorImpl::wrap(std::move(impl));
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor tensor = empty(std::move(shape), dtype, device);
  const auto bytes = static_cast<std::size_t>(tensor.bytes());
  if (device == Device::cpu)
    std::memset(tensor.raw(), 0, bytes);
  else if (bytes > 0)
    device_memory(device).zero(tensor.raw(), bytes);
  return tensor;
}

Tensor Tensor::full(Shape shape, float value, DType dtype, Device device) {
  Tensor tensor = empty(std::move(shape), dtype, device);
  tensor.fill(value);
  return tensor;
}

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  ORRERY_CHECK(orrery::numel(shape) == static_cast<std::int64_t>(values.size()), "[tensor] ", values.size(),
               " values do not fill shape ", to_string(shape));
  Tensor tensor = empty(std::move(shape), detail::DTypeOf<T>::value);
  if (!values.empty()) std::memcpy(tensor.raw(), values.data(), values.size_bytes());
  return tensor;
}
template Tensor Tensor::from(std::span<const float>, Shape);
template Tensor Tensor::from(std::span<const BFloat16>, Shape);
template Tensor Tensor::from(std::span<const std::int32_t>, Shape);
template Tensor Tensor::from(std::span<const std::int8_t>, Shape);

Tensor Tensor::randn(Shape shape, Random& random, float deviation) {
  Tensor tensor = empty(std::move(shape));
  for (float& value : tensor.span<float>()) value = deviation * static_cast<float>(random.normal());
  return tensor;
}

Tensor Tensor::uniform(Shape shape, Random& random, float low, float high) {
  Tensor tensor = empty(std::move(shape));
  for (float& value : tensor.span<float>()) value = static_cast<float>(random.uniform(double{low}, double{high}));
  return tensor;
}

const Shape& Tensor::shape() const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no shape");
  return impl_->shape;
}

const Shape& Tensor::strides() const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no strides");
  return impl_->strides;
}

std::int64_t Tensor::dim(int index) const {
  const int size = rank();
  const int positive = index < 0 ? index + size : index;
  ORRERY_CHECK(positive >= 0 && positive < size, "[tensor] dimension ", index, " of shape ", to_string(shape()));
  return impl_->shape[static_cast<std::size_t>(positive)];
}

std::int64_t Tensor::numel() const { return orrery::numel(shape()); }
DType Tensor::dtype() const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no dtype");
  return impl_->dtype;
}
Device Tensor::device() const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no device");
  return impl_->device;
}

bool Tensor::contiguous() const { return view().contiguous(); }

void* Tensor::raw() const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no data");
  return impl_->storage.get() + impl_->offset * size_of(impl_->dtype);
}

template <class T>
T* Tensor::data() const {
  ORRERY_CHECK(dtype() == detail::DTypeOf<T>::value, "[tensor] dtype is ", name_of(dtype()), ", expected ",
               name_of(detail::DTypeOf<T>::value));
  ORRERY_CHECK(contiguous(), "[tensor] shape ", to_string(shape()), " with strides ", to_string(strides()),
               " is not contiguous");
  ORRERY_ASSERT(device() == Device::cpu, "[tensor] the host reads ", name_of(dtype()), " ", to_string(shape()), " on ",
                name_of(device()));
  return static_cast<T*>(raw());
}
template float* Tensor::data() const;
template BFloat16* Tensor::data() const;
template std::int32_t* Tensor::data() const;
template std::int8_t* Tensor::data() const;

float Tensor::item() const {
  ORRERY_CHECK(numel() == 1, "[tensor] item() of shape ", to_string(shape()), ", expected one element");
  if (device() != Device::cpu) return to(Device::cpu).item();
  return load(raw(), dtype(), 0);
}

std::vector<float> Tensor::to_vector() const {
  if (device() != Device::cpu) return to(Device::cpu).to_vector();
  std::vector<float> values(static_cast<std::size_t>(numel()));
  const TensorView source = view();
  for_each_element(source, [&](std::int64_t flat, std::int64_t offset) {
    values[static_cast<std::size_t>(flat)] = load(source.data, source.dtype, offset);
  });
  return values;
}

TensorView Tensor::view() const {
  TensorView result;
  if (!impl_) return result;
  result.data = raw();
  result.dtype = impl_->dtype;
  result.device = impl_->device;
  result.rank = rank();
  std::copy(impl_->shape.begin(), impl_->shape.end(), result.shape);
  std::copy(impl_->strides.begin(), impl_->strides.end(), result.strides);
  return result;
}

Tensor Tensor::alias(Shape new_shape, Shape new_strides, std::int64_t offset) const {
  check_shape(new_shape);
  ORRERY_ASSERT(impl_ && new_shape.size() == new_strides.size(), "[tensor] alias with shape ", to_string(new_shape),
                " and strides ", to_string(new_strides));
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = impl_->storage;
  impl->offset = impl_->offset + offset;
  impl->shape = std::move(new_shape);
  impl->strides = std::move(new_strides);
  impl->dtype = impl_->dtype;
  impl->device = impl_->device;
  return TensorImpl::wrap(std::move(impl));
}

Tensor Tensor::reshaped(Shape new_shape) const {
  ORRERY_CHECK(contiguous(), "[reshape] strides ", to_string(strides()), " of shape ", to_string(shape()),
               " are not contiguous");
  std::int64_t known = 1;
  int open = -1;
  for (std::size_t i = 0; i < new_shape.size(); ++i) {
    if (new_shape[i] == -1) {
      ORRERY_CHECK(open < 0, "[reshape] two open dimensions in ", to_string(new_shape));
      open = static_cast<int>(i);
    } else {
      ORRERY_CHECK(new_shape[i] >= 0 && !__builtin_mul_overflow(known, new_shape[i], &known), "[reshape] ",
                   to_string(shape()), " does not fit ", to_string(new_shape));
    }
  }
  if (open >= 0) {
    ORRERY_CHECK(known > 0 && numel() % known == 0, "[reshape] ", to_string(shape()), " does not fit ",
                 to_string(new_shape));
    new_shape[static_cast<std::size_t>(open)] = numel() / known;
    known = numel();
  }
  ORRERY_CHECK(known == numel(), "[reshape] ", to_string(shape()), " does not fit ", to_string(new_shape));
  Shape new_strides = row_major_strides(new_shape);
  return alias(std::move(new_shape), std::move(new_strides), 0);
}

Tensor Tensor::detach() const { return alias(shape(), strides(), 0); }

Tensor Tensor::clone() const { return to(dtype()); }

Tensor Tensor::to(DType target) const {
  Tensor result = empty(shape(), target, device());
  const TensorView source = view();
  if (source.contiguous() && target == source.dtype) {
    copy_bytes(result.raw(), device(), source.data, device(), static_cast<std::size_t>(bytes()));
    return result;
  }
  if (device() != Device::cpu) {
    ops::run(CopyArgs{source, result.view()});
    return result;
  }
  void* destination = result.raw();
  for_each_element(source, [&](std::int64_t flat, std::int64_t offset) {
    store(destination, target, flat, load(source.data, source.dtype, offset));
  });
  return result;
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  const Tensor packed = contiguous() ? *this : clone();
  Tensor result = empty(shape(), dtype(), target);
  copy_bytes(result.raw(), target, packed.raw(), device(), static_cast<std::size_t>(bytes()));
  return result;
}

void Tensor::move_to(Device target) const {
  if (target == device()) return;
  const Tensor moved = to(target);
  impl_->storage = moved.impl_->storage;
  impl_->offset = 0;
  impl_->strides = moved.impl_->strides;
  impl_->device = target;
  impl_->grad = Tensor();
}

void Tensor::fill(float value) {
  const TensorView target = view();
  if (device() != Device::cpu) {
    if (numel() > 0) ops::run(FillArgs{target, value});
    return;
  }
  for_each_element(target, [&](std::int64_t, std::int64_t offset) { store(target.data, target.dtype, offset, value); });
}

void Tensor::copy_from(const Tensor& other) {
  ORRERY_CHECK(shape() == other.shape(), "[tensor] copy of ", to_string(other.shape()), " into ", to_string(shape()));
  const TensorView target = view();
  if (target.contiguous() && other.contiguous() && dtype() == other.dtype()) {
    copy_bytes(target.data, device(), other.raw(), other.device(), static_cast<std::size_t>(bytes()));
    return;
  }
  if (device() != Device::cpu) {
    if (numel() > 0) ops::run(CopyArgs{other.to(device()).view(), target});
    return;
  }
  const std::vector<float> values = other.to_vector();
  for_each_element(target, [&](std::int64_t flat, std::int64_t offset) {
    store(target.data, target.dtype, offset, values[static_cast<std::size_t>(flat)]);
  });
}

bool Tensor::requires_grad() const { return impl_ && impl_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool value) {
  ORRERY_CHECK(!value || dtype() == DType::f32 || dtype() == DType::bf16, "[tensor] a ", name_of(dtype()),
               " tensor has no gradient");
  impl_->requires_grad = value;
  return *this;
}

Tensor Tensor::grad() const { return impl_ ? impl_->grad : Tensor(); }
void Tensor::set_grad(Tensor grad) const {
  ORRERY_ASSERT(impl_, "[tensor] an undefined tensor has no gradient");
  impl_->grad = std::move(grad);
}

}  // namespace orrery
