// What crosses the boundary between core and the back ends: dtypes, devices and plain views of memory.
#pragma once

#include <cstdint>

namespace orrery {

enum class DType : std::uint8_t { f32, bf16, i32, i8 };
enum class Device : std::uint8_t { cpu, cuda };
inline constexpr int kDeviceCount = 2;

constexpr std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::i8:
      return 1;
  }
  return 0;
}
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i8:
      return "i8";
  }
  return "?";
}
constexpr const char* name_of(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

/// bfloat16 storage; arithmetic happens in f32.
struct BFloat16 {
  std::uint16_t bits;
};

inline constexpr int kMaxRank = 6;

/// A strided view of memory that somebody else owns. Strides count elements. `data == nullptr`: not given.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  int rank = 0;
  std::int64_t shape[kMaxRank] = {};
  std::int64_t strides[kMaxRank] = {};

  std::int64_t numel() const {
    std::int64_t count = 1;
    for (int i = 0; i < rank; ++i) count *= shape[i];
    return count;
  }
  bool contiguous() const {
    if (numel() == 0) return true;
    std::int64_t expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
  explicit operator bool() const { return data != nullptr; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace orrery
