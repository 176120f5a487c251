#include "core/nn/parameters.h"

#include <algorithm>

namespace orrery {

void ParameterList::add(std::string name, const Tensor& value, ParameterKind kind) {
  ORRERY_ASSERT(!find(name), "[parameters] two tensors are called ", name);
  Parameter item{std::move(name), value, kind};
  if (kind != ParameterKind::buffer) item.value.set_requires_grad(true);
  items_.push_back(std::move(item));
}

const Parameter* ParameterList::find(const std::string& name) const {
  const auto found =
      std::find_if(items_.begin(), items_.end(), [&](const Parameter& item) { return item.name == name; });
  return found == items_.end() ? nullptr : &*found;
}

std::int64_t ParameterList::trainable_count() const {
  std::int64_t count = 0;
  for (const Parameter& item : items_)
    if (item.kind != ParameterKind::buffer) count += item.value.numel();
  return count;
}

void ParameterList::move_to(Device device) const {
  for (const Parameter& item : items_)
    if (item.value.dtype() == DType::f32 || item.value.dtype() == DType::bf16) item.value.move_to(device);
}

void ParameterList::clear_grads() const {
  for (const Parameter& item : items_) item.value.clear_grad();
}

}  // namespace orrery
