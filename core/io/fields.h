// Typed reading of one configuration object (from JSON or TOML): each getter names the field in its error, and what
// nobody asked for can be listed or refused, so that a misspelt key never goes unnoticed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/json.h"

namespace orrery {

/// Closed range that a number must lie in.
template <class T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};

/// A reader over an object. It keeps a reference: the Json outlives it. Copies share what has been asked for.
///   Fields fields(Json::read(path), path);  const auto layers = fields.integer("num_hidden_layers",
///   Range<std::int64_t>{1, 512});
/// A getter with a fallback returns it when the field is missing or null; without one that is an InputError.
class Fields {
 public:
  /// `source` opens each error's line; usually the file's name.
  Fields(const Json& object, std::string source);

  /// True when the field is there and not null. Counts as asking for it.
  bool has(std::string_view name) const;

  std::int64_t integer(std::string_view name, Range<std::int64_t> range = {}) const;
  std::int64_t integer_or(std::string_view name, std::int64_t fallback, Range<std::int64_t> range = {}) const;
  double number(std::string_view name, Range<double> range = {}) const;
  double number_or(std::string_view name, double fallback, Range<double> range = {}) const;
  bool boolean(std::string_view name) const;
  bool boolean_or(std::string_view name, bool fallback) const;
  std::string text(std::string_view name) const;
  std::string text_or(std::string_view name, std::string fallback) const;
  /// A string that must be one of `choices`; the error lists them.
  std::string choice(std::string_view name, std::initializer_list<std::string_view> choices) const;
  std::string choice_or(std::string_view name, std::initializer_list<std::string_view> choices,
                        std::string fallback) const;

  std::vector<std::int64_t> integers(std::string_view name, Range<std::int64_t> range = {}) const;
  std::vector<double> numbers(std::string_view name, Range<double> range = {}) const;
  std::vector<std::string> texts(std::string_view name) const;

  /// A nested object; an array of them. Their unknown fields count as this one's.
  Fields object(std::string_view name) const;
  std::vector<Fields> objects(std::string_view name) const;
  /// The value as it is, or null.
  const Json& raw(std::string_view name) const;

  /// Marks a field as known without reading it (for keys that are for somebody else).
  void ignore(std::string_view name) const { find(name); }

  /// Full names ("optimiser.lr") of fields that nobody asked for, here and in nested objects that were read.
  std::vector<std::string> unknown() const;
  /// InputError that names every unknown field, each with the nearest known one.
  void refuse_unknown() const;

  /// "train.toml: optimiser.lr": the start of a message about a field.
  std::string where(std::string_view name) const;

 private:
  struct Node;
  Fields(std::shared_ptr<Node> node, std::shared_ptr<const std::string> source)
      : node_(std::move(node)), source_(std::move(source)) {}
  const Json* find(std::string_view name) const;
  const Json& need(std::string_view name) const;
  [[noreturn]] void refuse(std::string_view name, const Json& found, const std::string& expected) const;
  std::int64_t checked(std::string_view name, const Json& value, const Range<std::int64_t>& range) const;
  double checked(std::string_view name, const Json& value, const Range<double>& range) const;
  Fields child(const std::string& name, const Json& value) const;

  std::shared_ptr<Node> node_;
  std::shared_ptr<const std::string> source_;
};

/// " (did you mean \"x\"?)" for the known name nearest to `name` by edit distance, or "" when none is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace orrery
