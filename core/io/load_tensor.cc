#include "core/io/load_tensor.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery {

namespace {

template <class T>
T read_raw(const std::byte* data, std::int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));  // may be unaligned
  return value;
}

/// A small float with `exponent_bits` and `mantissa_bits`; the top exponent holds infinity and NaN (IEEE 754).
float small_float(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const float sign = (bits >> (exponent_bits + mantissa_bits) & 1) != 0 ? -1.0f : 1.0f;
  if (exponent == (1 << exponent_bits) - 1) return sign * (mantissa != 0 ? std::nanf("") : HUGE_VALF);
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits);
  return sign * std::ldexp(static_cast<float>(mantissa | 1u << mantissa_bits), exponent - bias - mantissa_bits);
}

/// E4M3 (the "fn" variant of Micikevicius et al. 2022, arXiv 2209.05433): no infinity, NaN is S.1111.111.
float e4m3(std::uint32_t bits) {
  if ((bits & 0x7F) == 0x7F) return std::nanf("");
  if ((bits >> 3 & 15) == 15)
    return ((bits & 0x80) != 0 ? -1.0f : 1.0f) * std::ldexp(static_cast<float>(8 | (bits & 7)), 15 - 7 - 3);
  return small_float(bits, 4, 3);
}

const std::array<float, 256>& byte_table(FileDType dtype) {
  const auto make = [](float (*value)(std::uint32_t)) {
    std::array<float, 256> table;
    for (std::uint32_t i = 0; i < 256; ++i) table[i] = value(i);
    return table;
  };
  static const auto e4m3_table = make(e4m3);
  static const auto e5m2_table = make([](std::uint32_t bits) { return small_float(bits, 5, 2); });
  static const auto e8m0_table = make(
      [](std::uint32_t bits) { return bits == 255 ? std::nanf("") : std::ldexp(1.0f, static_cast<int>(bits) - 127); });
  return dtype == FileDType::F8_E4M3 ? e4m3_table : dtype == FileDType::F8_E5M2 ? e5m2_table : e8m0_table;
}

float float_at(const SafetensorsEntry& entry, std::int64_t i) {
  const std::byte* data = entry.data.data();
  switch (entry.dtype) {
    case FileDType::F64:
      return static_cast<float>(read_raw<double>(data, i));
    case FileDType::F32:
      return read_raw<float>(data, i);
    case FileDType::F16:
      return small_float(read_raw<std::uint16_t>(data, i), 5, 10);
    case FileDType::BF16:
      return std::bit_cast<float>(std::uint32_t{read_raw<std::uint16_t>(data, i)} << 16);
    default:
      return byte_table(entry.dtype)[std::to_integer<std::size_t>(data[i])];
  }
}

bool is_floating(FileDType dtype) {
  switch (dtype) {
    case FileDType::F64:
    case FileDType::F32:
    case FileDType::F16:
    case FileDType::BF16:
    case FileDType::F8_E4M3:
    case FileDType::F8_E5M2:
    case FileDType::F8_E8M0:
      return true;
    default:
      return false;
  }
}

std::int64_t integer_at(const SafetensorsEntry& entry, std::int64_t i) {
  const std::byte* data = entry.data.data();
  switch (entry.dtype) {
    case FileDType::I64:
      return read_raw<std::int64_t>(data, i);
    case FileDType::I32:
      return read_raw<std::int32_t>(data, i);
    case FileDType::I16:
      return read_raw<std::int16_t>(data, i);
    case FileDType::I8:
      return read_raw<std::int8_t>(data, i);
    case FileDType::U64: {
      const auto value = read_raw<std::uint64_t>(data, i);
      return value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                 ? -1
                 : static_cast<std::int64_t>(value);
    }
    case FileDType::U32:
      return read_raw<std::uint32_t>(data, i);
    case FileDType::U16:
      return read_raw<std::uint16_t>(data, i);
    default:
      return std::to_integer<std::int64_t>(data[i]);
  }
}

Tensor load_floats(const SafetensorsEntry& entry) {
  Tensor tensor = Tensor::empty(entry.shape);
  float* out = tensor.data<float>();
  parallel_for(tensor.numel(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = float_at(entry, i);
      ORRERY_CHECK(std::isfinite(out[i]), "tensor \"", entry.name, "\" ", entry.describe(), " holds ", out[i],
                   " at element ", i, ", expected finite numbers");
    }
  });
  return tensor;
}

template <class T>
Tensor load_integers(const SafetensorsEntry& entry, DType dtype) {
  Tensor tensor = Tensor::empty(entry.shape, dtype);
  T* out = tensor.data<T>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const std::int64_t value = integer_at(entry, i);
    const bool wrapped = entry.dtype == FileDType::U64 && value < 0;
    ORRERY_CHECK(!wrapped && value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max(),
                 "tensor \"", entry.name, "\" ", entry.describe(), " holds at element ", i,
                 " a number that does not fit into ", name_of(dtype));
    out[i] = static_cast<T>(value);
  }
  return tensor;
}

}  // namespace

Tensor load_tensor(const SafetensorsEntry& entry, DType dtype) {
  ORRERY_CHECK(entry.shape.size() <= kMaxRank, "tensor \"", entry.name, "\" ", entry.describe(), " has ",
               entry.shape.size(), " dimensions, expected at most ", kMaxRank);
  if (is_floating(entry.dtype) && dtype == DType::f32) return load_floats(entry);
  if (is_floating(entry.dtype) && dtype == DType::bf16) return load_floats(entry).to(DType::bf16);
  if (!is_floating(entry.dtype) && dtype == DType::i32) return load_integers<std::int32_t>(entry, dtype);
  if (!is_floating(entry.dtype) && dtype == DType::i8) return load_integers<std::int8_t>(entry, dtype);
  throw InputError("tensor \"" + entry.name + "\" is " + entry.describe() + " in the file, which is not read as " +
                   name_of(dtype));
}

SafetensorsEntry safetensors_entry(std::string name, const Tensor& tensor) {
  ORRERY_ASSERT(tensor.contiguous() && tensor.device() == Device::cpu, "the tensor \"", name,
                "\" must be contiguous and on the CPU to be written");
  SafetensorsEntry entry;
  entry.name = std::move(name);
  entry.shape = tensor.shape();
  entry.data = {static_cast<const std::byte*>(tensor.raw()), static_cast<std::size_t>(tensor.bytes())};
  switch (tensor.dtype()) {
    case DType::f32:
      entry.dtype = FileDType::F32;
      break;
    case DType::bf16:
      entry.dtype = FileDType::BF16;
      break;
    case DType::i32:
      entry.dtype = FileDType::I32;
      break;
    case DType::i8:
      entry.dtype = FileDType::I8;
      break;
  }
  return entry;
}

}  // namespace orrery
