// Result<T>: a value, or the plain-words reason why there is none. For outcomes that a caller expects (end of stream,
// truncated file); faults throw orrery::Error instead.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "core/base/error.h"

namespace orrery {

/// Why there is no value.
struct Failure {
  std::string reason;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Failure failure) : state_(std::move(failure)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  /// The value; throws InputError with the reason when there is none.
  T& value() {
    if (!ok()) throw InputError(reason());
    return std::get<T>(state_);
  }
  const T& value() const { return const_cast<Result*>(this)->value(); }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }
  /// Empty when there is a value.
  std::string reason() const { return ok() ? std::string() : std::get<Failure>(state_).reason; }

 private:
  std::variant<T, Failure> state_;
};

}  // namespace orrery
