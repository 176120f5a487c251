#include "core/io/fields.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>

#include "core/base/error.h"

namespace orrery {

struct Fields::Node {
  Node(const Json& from, std::string where)
      : object(&from), path(std::move(where)), known(from.as_object().size(), false) {}

  const Json* object;
  std::string path;                // "optimiser" or ""
  std::vector<bool> known;         // of the object's members: asked for
  std::vector<std::string> asked;  // names, present or not, some twice: a job file is read a hundred thousand times
  std::map<std::string, std::shared_ptr<Node>> children;

  const Json* find(std::string_view name) {
    if (asked.empty() || asked.back() != name) asked.emplace_back(name);
    const Json::Object& members = object->as_object();
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].key != name) continue;
      known[i] = true;
      return &members[i].value;
    }
    return nullptr;
  }

  std::string full_name(std::string_view name) const {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
  }
  void collect_unknown(std::vector<std::string>& names, bool with_hints) const {
    const std::set<std::string> candidates(asked.begin(), asked.end());  // sorted: of equals, the first one is named
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i]) continue;
      const std::string& key = object->as_object()[i].key;
      names.push_back(full_name(key) + (with_hints ? did_you_mean(key, {candidates.begin(), candidates.end()}) : ""));
    }
    for (const auto& [name, child] : children) child->collect_unknown(names, with_hints);
  }
};

Fields::Fields(const Json& object, std::string source) : source_(std::make_shared<std::string>(std::move(source))) {
  ORRERY_CHECK(object.is_object(), *source_, ": found ", object.brief(), ", expected an object of named fields");
  node_ = std::make_shared<Node>(object, "");
}

std::string Fields::where(std::string_view name) const { return *source_ + ": " + node_->full_name(name); }

const Json* Fields::find(std::string_view name) const {
  const Json* value = node_->find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Fields::has(std::string_view name) const { return find(name) != nullptr; }

const Json& Fields::need(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr) return *value;
  std::vector<std::string> present;
  for (std::size_t i = 0; i < node_->known.size(); ++i) {
    if (!node_->known[i]) present.push_back(node_->object->as_object()[i].key);
  }
  throw InputError(where(name) + " is missing" + did_you_mean(name, present));
}

const Json& Fields::raw(std::string_view name) const {
  static const Json kNull;
  const Json* value = find(name);
  return value == nullptr ? kNull : *value;
}

void Fields::refuse(std::string_view name, const Json& found, const std::string& expected) const {
  throw InputError(where(name) + " is " + found.brief() + ", expected " + expected);
}

namespace {

template <class T>
std::string range_text(const char* kind, const Range<T>& range) {
  const bool low = range.low != std::numeric_limits<T>::lowest(), high = range.high != std::numeric_limits<T>::max();
  std::ostringstream out;
  out << kind;
  if (low && high) {
    out << " from " << range.low << " to " << range.high;
  } else if (low) {
    out << " of at least " << range.low;
  } else if (high) {
    out << " of at most " << range.high;
  }
  return out.str();
}

std::string list_text(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

}  // namespace

std::int64_t Fields::checked(std::string_view name, const Json& value, const Range<std::int64_t>& range) const {
  // "1e3" and 8.0 are integers that a float syntax happens to spell.
  if (value.is_number() && !value.is_integer()) {
    const double number = value.as_number();
    if (std::abs(number) <= 9007199254740992.0 && number == static_cast<double>(static_cast<std::int64_t>(number)))
      return checked(name, Json(static_cast<std::int64_t>(number)), range);
  }
  if (!value.is_integer() || value.as_integer() < range.low || value.as_integer() > range.high)
    refuse(name, value, range_text("an integer", range));
  return value.as_integer();
}

double Fields::checked(std::string_view name, const Json& value, const Range<double>& range) const {
  // Written so that NaN is refused.
  if (!value.is_number() || !(value.as_number() >= range.low && value.as_number() <= range.high))
    refuse(name, value, range_text("a number", range));
  return value.as_number();
}

std::int64_t Fields::integer(std::string_view name, Range<std::int64_t> range) const {
  return checked(name, need(name), range);
}
std::int64_t Fields::integer_or(std::string_view name, std::int64_t fallback, Range<std::int64_t> range) const {
  return has(name) ? integer(name, range) : fallback;
}
double Fields::number(std::string_view name, Range<double> range) const { return checked(name, need(name), range); }
double Fields::number_or(std::string_view name, double fallback, Range<double> range) const {
  return has(name) ? number(name, range) : fallback;
}

bool Fields::boolean(std::string_view name) const {
  const Json& value = need(name);
  if (!value.is_bool()) refuse(name, value, "true or false");
  return value.as_bool();
}
bool Fields::boolean_or(std::string_view name, bool fallback) const { return has(name) ? boolean(name) : fallback; }

std::string Fields::text(std::string_view name) const {
  const Json& value = need(name);
  if (!value.is_string()) refuse(name, value, "a string");
  return value.as_string();
}
std::string Fields::text_or(std::string_view name, std::string fallback) const {
  return has(name) ? text(name) : std::move(fallback);
}

std::string Fields::choice(std::string_view name, std::initializer_list<std::string_view> choices) const {
  const Json& value = need(name);
  const std::vector<std::string> known(choices.begin(), choices.end());
  if (!value.is_string()) refuse(name, value, "one of " + list_text(known));
  if (std::find(known.begin(), known.end(), value.as_string()) == known.end())
    refuse(name, value, "one of " + list_text(known) + did_you_mean(value.as_string(), known));
  return value.as_string();
}
std::string Fields::choice_or(std::string_view name, std::initializer_list<std::string_view> choices,
                              std::string fallback) const {
  return has(name) ? choice(name, choices) : std::move(fallback);
}

namespace {
std::string item_name(std::string_view name, std::size_t index) {
  return std::string(name) + "[" + std::to_string(index) + "]";
}
}  // namespace

std::vector<std::int64_t> Fields::integers(std::string_view name, Range<std::int64_t> range) const {
  const Json& value = need(name);
  if (!value.is_array()) refuse(name, value, "an array of integers");
  std::vector<std::int64_t> items;
  for (const Json& item : value.as_array()) items.push_back(checked(item_name(name, items.size()), item, range));
  return items;
}

std::vector<double> Fields::numbers(std::string_view name, Range<double> range) const {
  const Json& value = need(name);
  if (!value.is_array()) refuse(name, value, "an array of numbers");
  std::vector<double> items;
  for (const Json& item : value.as_array()) items.push_back(checked(item_name(name, items.size()), item, range));
  return items;
}

std::vector<std::string> Fields::texts(std::string_view name) const {
  const Json& value = need(name);
  if (!value.is_array()) refuse(name, value, "an array of strings");
  std::vector<std::string> items;
  for (const Json& item : value.as_array()) {
    if (!item.is_string()) refuse(item_name(name, items.size()), item, "a string");
    items.push_back(item.as_string());
  }
  return items;
}

Fields Fields::child(const std::string& name, const Json& value) const {
  if (!value.is_object()) refuse(name, value, "an object of named fields");  // first: a refused child leaves no trace
  auto& slot = node_->children[name];
  if (slot == nullptr) slot = std::make_shared<Node>(value, node_->full_name(name));
  return Fields(slot, source_);
}

Fields Fields::object(std::string_view name) const { return child(std::string(name), need(name)); }

std::vector<Fields> Fields::objects(std::string_view name) const {
  const Json& value = need(name);
  if (!value.is_array()) refuse(name, value, "an array of objects");
  std::vector<Fields> items;
  for (const Json& item : value.as_array()) items.push_back(child(item_name(name, items.size()), item));
  return items;
}

std::vector<std::string> Fields::unknown() const {
  std::vector<std::string> names;
  node_->collect_unknown(names, false);
  return names;
}

void Fields::refuse_unknown() const {
  std::vector<std::string> names;
  node_->collect_unknown(names, true);
  if (names.empty()) return;
  throw InputError(*source_ + ": unknown " + (names.size() == 1 ? "field " : "fields ") + list_text(names));
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    if (candidate == name || candidate.size() > name.size() + best_distance ||
        name.size() > candidate.size() + best_distance)
      continue;
    // Levenshtein's distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t above = row[j + 1];
        row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (name[i] == candidate[j] ? 0u : 1u)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best.empty() ? "" : " (did you mean \"" + best + "\"?)";
}

}  // namespace orrery
