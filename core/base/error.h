// Errors: what the user gave (exit code 2) apart from what we broke (exit code 1), and the checks that throw them.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace orrery {

/// Whose fault an error is; an app's main turns it into the exit code.
enum class Blame { ours = 1, input = 2 };

/// The one exception type of the library. The message is a single line: what failed, what was found, what was expected.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Blame blame = Blame::ours) : std::runtime_error(message), blame_(blame) {}
  Blame blame() const { return blame_; }

 private:
  Blame blame_;
};

/// An error in what the user gave: arguments, files, shapes. Exit code 2.
class InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(message, Blame::input) {}
};

/// No room left where something was to be written: who can wait may try again. Exit code 1.
class DiskFullError : public Error {
 public:
  explicit DiskFullError(const std::string& message) : Error(message) {}
};

namespace detail {
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
[[noreturn]] void throw_check(const std::string& message, Blame blame);
}  // namespace detail

}  // namespace orrery

/// Throws orrery::InputError unless `condition` holds: ORRERY_CHECK(k > 0, "[top_k] k is ", k, ", expected at least
/// 1").
#define ORRERY_CHECK(condition, ...)                                                                \
  do {                                                                                              \
    if (!(condition)) [[unlikely]]                                                                  \
      ::orrery::detail::throw_check(::orrery::detail::concat(__VA_ARGS__), ::orrery::Blame::input); \
  } while (false)

/// Like ORRERY_CHECK for what only a fault of ours or of the system can break.
#define ORRERY_ASSERT(condition, ...)                                                              \
  do {                                                                                             \
    if (!(condition)) [[unlikely]]                                                                 \
      ::orrery::detail::throw_check(::orrery::detail::concat(__VA_ARGS__), ::orrery::Blame::ours); \
  } while (false)
