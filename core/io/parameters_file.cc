#include "core/io/parameters_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "core/io/safetensors.h"
#include "core/tensor/device.h"
#include "core/tensor/quantize.h"
#include "kernels/api/bfloat16.h"

namespace orrery {

namespace {

FileDType file_dtype_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return FileDType::F32;
    case DType::bf16:
      return FileDType::BF16;
    case DType::i32:
      return FileDType::I32;
    case DType::i8:
      return FileDType::I8;
  }
  return FileDType::F32;
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, exponent = (bits >> 10) & 31u,
                      mantissa = bits & 1023u;
  if (exponent == 0)
    return std::bit_cast<float>(sign) + (sign ? -1.0f : 1.0f) * static_cast<float>(mantissa) * 0x1p-24f;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

template <class T>
T element(std::span<const std::byte> data, std::int64_t index) {
  T value;
  std::memcpy(&value, data.data() + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

// The values as f32; int8 rows are multiplied by their scales.
std::vector<float> as_floats(const SafetensorsEntry& entry, const SafetensorsEntry* scale, const std::string& source) {
  std::vector<float> values(static_cast<std::size_t>(entry.numel()));
  const std::int64_t row = entry.shape.empty() ? 1 : std::max<std::int64_t>(1, entry.shape.back());
  for (std::int64_t i = 0; i < entry.numel(); ++i) {
    float& value = values[static_cast<std::size_t>(i)];
    switch (entry.dtype) {
      case FileDType::F32:
        value = element<float>(entry.data, i);
        break;
      case FileDType::BF16:
        value = to_float(element<BFloat16>(entry.data, i));
        break;
      case FileDType::F16:
        value = half_to_float(element<std::uint16_t>(entry.data, i));
        break;
      case FileDType::F64:
        value = static_cast<float>(element<double>(entry.data, i));
        break;
      case FileDType::I32:
        value = static_cast<float>(element<std::int32_t>(entry.data, i));
        break;
      case FileDType::I64:
        value = static_cast<float>(element<std::int64_t>(entry.data, i));
        break;
      case FileDType::I8:
        value = static_cast<float>(element<std::int8_t>(entry.data, i)) *
                (scale ? element<float>(scale->data, i / row) : 1.0f);
        break;
      default:
        throw InputError(source + ": " + entry.name + " is " + entry.describe() + ", which cannot be loaded");
    }
  }
  return values;
}

// Block by block in a loop that vectorises; a closer look only where something is wrong.
void check_finite(std::span<const float> values, const std::string& name, const std::string& source) {
  constexpr std::size_t kBlock = 4096;
  for (std::size_t first = 0; first < values.size(); first += kBlock) {
    const std::size_t last = std::min(values.size(), first + kBlock);
    bool finite = true;
    for (std::size_t i = first; i < last; ++i) finite &= std::fabs(values[i]) <= std::numeric_limits<float>::max();
    if (finite) continue;
    while (std::isfinite(values[first])) ++first;
    throw InputError(source + ": " + name + " holds " + std::to_string(values[first]) + " at element " +
                     std::to_string(first) + ", expected finite numbers");
  }
}

}  // namespace

void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                  const std::map<std::string, std::string>& metadata) {
  std::vector<Tensor> kept;
  std::vector<SafetensorsEntry> entries;
  for (const NamedTensor& item : tensors) {
    const Tensor moved = item.value.to(Device::cpu);
    kept.push_back(moved.contiguous() ? moved : moved.clone());
    const Tensor& value = kept.back();
    entries.push_back({item.name,
                       file_dtype_of(value.dtype()),
                       value.shape(),
                       {static_cast<const std::byte*>(value.raw()), static_cast<std::size_t>(value.bytes())}});
  }
  write_safetensors(path, entries, metadata);
}

bool TensorFile::has(const std::string& name) const { return file_->find(name) != nullptr; }
const std::string& TensorFile::source() const { return file_->source(); }

std::string TensorFile::metadata(const std::string& key) const {
  const auto found = file_->metadata().find(key);
  ORRERY_CHECK(found != file_->metadata().end(), source(), ": no \"", key, "\" in its metadata");
  return found->second;
}

std::vector<std::string> TensorFile::names() const {
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : file_->entries()) names.push_back(entry.name);
  return names;
}

void TensorFile::load_into(const std::string& name, const Tensor& target) const {
  const SafetensorsEntry& entry = file_->at(name);
  ORRERY_CHECK(Shape(entry.shape.begin(), entry.shape.end()) == target.shape(), source(), ": ", name, " is ",
               entry.describe(), ", expected ", name_of(target.dtype()), " ", to_string(target.shape()));
  if (entry.dtype == file_dtype_of(target.dtype()) && target.contiguous() && entry.dtype != FileDType::I8) {
    copy_bytes(target.raw(), target.device(), entry.data.data(), Device::cpu, entry.data.size());
    if (target.dtype() == DType::f32) check_finite(target.to(Device::cpu).span<float>(), name, source());
    return;
  }
  const std::vector<float> values = as_floats(entry, file_->find(name + ".scale"), source());
  check_finite(values, name, source());
  Tensor(target).copy_from(Tensor::from(values, target.shape()));
}

TensorFile open_tensors(const std::string& path) {
  return TensorFile(std::make_shared<const Safetensors>(Safetensors::open(path)));
}

std::vector<NamedTensor> stored_tensors(const std::vector<Parameter>& parameters, StoredAs stored) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& item : parameters) {
    const bool matrix = item.kind == ParameterKind::matrix || item.kind == ParameterKind::embedding;
    const Tensor value = item.value.to(Device::cpu);
    if (matrix && stored == StoredAs::int8) {
      auto [values, scales] = quantize_rows(value);
      tensors.push_back({item.name, values});
      tensors.push_back({item.name + ".scale", scales});
    } else {
      tensors.push_back({item.name, matrix && stored == StoredAs::bf16 ? value.to(DType::bf16) : value});
    }
  }
  return tensors;
}

void save_parameters(const std::string& path, const ParameterList& parameters, StoredAs stored,
                     const std::map<std::string, std::string>& metadata) {
  save_tensors(path, stored_tensors(parameters.all(), stored), metadata);
}

std::int64_t load_matching(const std::string& path, const ParameterList& parameters) {
  const auto file = std::make_shared<const Safetensors>(Safetensors::open(path));
  const TensorFile tensors(file);
  std::int64_t count = 0;
  for (const Parameter& item : parameters.all()) {
    const SafetensorsEntry* entry = file->find(item.name);
    if (!entry || Shape(entry->shape.begin(), entry->shape.end()) != item.value.shape()) continue;
    tensors.load_into(item.name, item.value);
    ++count;
  }
  return count;
}

void load_parameters(const std::string& path, const ParameterList& parameters) {
  const TensorFile file = open_tensors(path);
  std::set<std::string> known;
  std::string missing, unknown;
  for (const Parameter& item : parameters.all()) {
    known.insert(item.name);
    known.insert(item.name + ".scale");
    if (!file.has(item.name)) missing += (missing.empty() ? "" : ", ") + item.name;
  }
  for (const std::string& name : file.names())
    if (!known.count(name)) unknown += (unknown.empty() ? "" : ", ") + name;
  ORRERY_CHECK(missing.empty() && unknown.empty(), file.source(), ":",
               missing.empty() ? "" : " missing tensors " + missing, missing.empty() || unknown.empty() ? "" : ";",
               unknown.empty() ? "" : " unknown tensors " + unknown);
  for (const Parameter& item : parameters.all()) file.load_into(item.name, item.value);
}

}  // namespace orrery
