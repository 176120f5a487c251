// Scratch memory that a thread keeps between calls: freshly mapped pages cost more than the kernels that fill them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace orrery {

/// Grows and never shrinks. take() hands out 64-byte aligned pieces until the next reset(); contents are not cleared.
class Arena {
 public:
  /// Makes room for `floats` in all, rounded up a piece. Earlier pieces become invalid.
  void reset(std::int64_t floats) {
    used_ = 0;
    const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float) + kSlack;
    if (bytes <= capacity_) return;
    memory_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})));
    capacity_ = bytes;
  }
  template <class T = float>
  T* take(std::int64_t count) {
    T* piece = reinterpret_cast<T*>(memory_.get() + used_);
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return piece;
  }

 private:
  static constexpr std::size_t kSlack = 64 * 64;  // up to 64 pieces
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace orrery
