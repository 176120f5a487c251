// JSON values: read strictly (valid UTF-8, no duplicate keys, nothing after the value), built, and written the same way
// each time. Object keys keep their order. Typed reading of configurations is in core/io/fields.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace orrery {

struct JsonMember;

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<JsonMember>;

  /// Null.
  Json();
  Json(std::nullptr_t);
  // Defined where JsonMember is complete: clang looks into std::variant earlier than g++ does.
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
  Json(std::same_as<bool> auto value) : Json(Boolean{value}) {}
  /// Integers are kept exactly; an unsigned one above the largest signed one throws.
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value) : Json(Integer{value < 0, static_cast<std::uint64_t>(value)}) {}
  Json(std::floating_point auto value) : Json(Number{static_cast<double>(value)}) {}
  Json(std::string value);
  Json(std::string_view value);
  Json(const char* value);
  Json(Array value);
  Json(Object value);
  template <class T>
  requires(!std::same_as<T, Json> && !std::same_as<T, JsonMember> && std::constructible_from<Json, const T&>)
      Json(const std::vector<T>& values)
      : Json(Array(values.begin(), values.end())) {}

  /// Json::object({{"seed", 42}, {"prompt", "a red ball"}}).
  static Json object(std::initializer_list<std::pair<std::string_view, Json>> members = {});
  static Json array();

  /// Reads one value. `source` (a file's name) opens the error's line, which names the line and column. Throws
  /// InputError.
  static Json parse(std::string_view text, const std::string& source);
  static Json read(const std::filesystem::path& path);

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// The value as that kind; InputError names what it is instead.
  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_number() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;
  Array& as_array();
  Object& as_object();

  /// The member of that name, or null (also when this is no object). Linear in the number of members.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  /// Replaces or appends a member; a null value becomes an object first.
  void set(std::string_view key, Json value);
  /// Appends to an array; a null value becomes an array first.
  void push_back(Json value);

  /// The text. indent < 0: one line without spaces; otherwise that many spaces a level. Numbers are the shortest that
  /// read back the same. Throws Error for what JSON cannot hold: NaN, infinity, strings that are not UTF-8.
  std::string dump(int indent = -1) const;

  /// "an integer", "a string", … for messages.
  const char* kind() const;
  /// The value as short text for messages, cut after some 60 bytes.
  std::string brief() const;

  friend bool operator==(const Json& a, const Json& b);

 private:
  // What the templates above hand on; defined below, where JsonMember is complete.
  struct Boolean {
    bool value;
  };
  struct Integer {
    bool negative;
    std::uint64_t bits;
  };
  struct Number {
    double value;
  };
  explicit Json(Boolean boolean);
  explicit Json(Integer integer);
  explicit Json(Number number);
  static std::int64_t checked(Integer integer);

  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_;
};

struct JsonMember {
  std::string key;
  Json value;
  friend bool operator==(const JsonMember& a, const JsonMember& b) { return a.key == b.key && a.value == b.value; }
};

inline Json::Json(const Json& other) = default;
inline Json::Json(Json&& other) noexcept = default;
inline Json& Json::operator=(const Json& other) = default;
inline Json& Json::operator=(Json&& other) noexcept = default;
inline Json::~Json() = default;
inline Json::Json() : value_(nullptr) {}
inline Json::Json(std::nullptr_t) : value_(nullptr) {}
inline Json::Json(std::string value) : value_(std::move(value)) {}
inline Json::Json(std::string_view value) : value_(std::string(value)) {}
inline Json::Json(const char* value) : value_(std::string(value)) {}
inline Json::Json(Array value) : value_(std::move(value)) {}
inline Json::Json(Object value) : value_(std::move(value)) {}
inline Json::Json(Boolean boolean) : value_(boolean.value) {}
inline Json::Json(Integer integer) : value_(checked(integer)) {}
inline Json::Json(Number number) : value_(number.value) {}
inline Json Json::array() { return Json(Array()); }
inline bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }

/// Byte offset of the first byte that is not valid UTF-8 (no surrogates, no overlong forms), or npos.
std::size_t find_invalid_utf8(std::string_view text);

}  // namespace orrery
