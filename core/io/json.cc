#include "core/io/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/files.h"

namespace orrery {

namespace {

/// Deep enough for any configuration; keeps recursion over a hostile file bounded.
constexpr std::size_t kMaxDepth = 200;

/// Builds a Json from nlohmann's events. A false return ends the parse with `error` set.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Json root;
  std::string error;
  std::optional<std::size_t> error_position;

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return value <= kMax ? add(Json(value)) : add(Json(static_cast<double>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool start_object(std::size_t) override { return open(Json(Json::Object())); }
  bool start_array(std::size_t) override { return open(Json(Json::Array())); }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool end_object() override {
    const Json::Object& members = open_.back()->as_object();
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const JsonMember& member : members) keys.push_back(member.key);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) return refuse("the key \"" + std::string(*twice) + "\" appears twice in one object");
    open_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    open_.back()->as_object().push_back({std::move(name), Json()});
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& exception) override {
    error_position = position;
    const std::string text = exception.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 3: syntax error …": the last part is the news.
    const std::size_t column = text.find("column ");
    const std::size_t colon = column == std::string::npos ? text.find("] ") : text.find(": ", column);
    return refuse(colon == std::string::npos ? text : text.substr(colon + 2));
  }

 private:
  bool refuse(std::string why) {
    if (error.empty()) error = std::move(why);
    return false;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_object()) {
      Json& slot = parent.as_object().back().value;
      slot = std::move(value);
      return &slot;
    }
    parent.as_array().push_back(std::move(value));
    return &parent.as_array().back();
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= kMaxDepth) return refuse("nested more than " + std::to_string(kMaxDepth) + " levels deep");
    open_.push_back(place(std::move(container)));
    return true;
  }

  std::vector<Json*> open_;  // a parent does not grow while its child is open, so the pointers stay valid
};

std::string position_text(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, std::min(position > 0 ? position - 1 : 0, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t last = before.rfind('\n');
  const std::size_t column = 1 + (last == std::string_view::npos ? before.size() : before.size() - last - 1);
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// Keeps a message one printable line.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

void write_string(const std::string& text, std::string& out) {
  ORRERY_ASSERT(find_invalid_utf8(text) == std::string_view::npos, "JSON cannot hold a string that is not UTF-8");
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void write_number(double value, std::string& out) {
  ORRERY_ASSERT(std::isfinite(value), "JSON cannot hold the number ", value);
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  std::string_view digits(text, static_cast<std::size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";  // stays a float when read back
}

void write_value(const Json& json, int indent, int level, std::string& out) {
  const auto new_line = [&](int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent * depth), ' ');
  };
  bool first = true;
  const auto separate = [&] {
    if (!first) out += ',';
    first = false;
    new_line(level + 1);
  };
  if (json.is_null()) {
    out += "null";
  } else if (json.is_bool()) {
    out += json.as_bool() ? "true" : "false";
  } else if (json.is_integer()) {
    out += std::to_string(json.as_integer());
  } else if (json.is_number()) {
    write_number(json.as_number(), out);
  } else if (json.is_string()) {
    write_string(json.as_string(), out);
  } else if (json.is_array()) {
    out += '[';
    for (const Json& item : json.as_array()) {
      separate();
      write_value(item, indent, level + 1, out);
    }
    if (!first) new_line(level);
    out += ']';
  } else {
    out += '{';
    for (const JsonMember& member : json.as_object()) {
      separate();
      write_string(member.key, out);
      out += indent < 0 ? ":" : ": ";
      write_value(member.value, indent, level + 1, out);
    }
    if (!first) new_line(level);
    out += '}';
  }
}

}  // namespace

Json Json::object(std::initializer_list<std::pair<std::string_view, Json>> members) {
  Object object;
  object.reserve(members.size());
  for (const auto& [key, value] : members) object.push_back({std::string(key), value});
  return Json(std::move(object));
}

Json Json::parse(std::string_view text, const std::string& source) {
  ORRERY_CHECK(text.substr(0, 3) != "\xEF\xBB\xBF", source, ": it starts with a byte order mark, expected plain JSON");
  Builder builder;
  const bool ok = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  if (ok) return std::move(builder.root);
  std::string where;
  if (builder.error_position) where = position_text(text, *builder.error_position) + ": ";
  throw InputError(source + ": not valid JSON: " + where + one_line(builder.error));
}

Json Json::read(const std::filesystem::path& path) { return parse(read_file(path), path.string()); }

std::int64_t Json::checked(Integer integer) {
  const auto value = static_cast<std::int64_t>(integer.bits);
  ORRERY_ASSERT(integer.negative == (value < 0), "the integer ", integer.bits, " is too large for a JSON value here");
  return value;
}

bool Json::as_bool() const {
  ORRERY_CHECK(is_bool(), "expected true or false, found ", brief());
  return std::get<bool>(value_);
}
std::int64_t Json::as_integer() const {
  ORRERY_CHECK(is_integer(), "expected an integer, found ", brief());
  return std::get<std::int64_t>(value_);
}
double Json::as_number() const {
  ORRERY_CHECK(is_number(), "expected a number, found ", brief());
  return is_integer() ? static_cast<double>(std::get<std::int64_t>(value_)) : std::get<double>(value_);
}
const std::string& Json::as_string() const {
  ORRERY_CHECK(is_string(), "expected a string, found ", brief());
  return std::get<std::string>(value_);
}
const Json::Array& Json::as_array() const {
  ORRERY_CHECK(is_array(), "expected an array, found ", brief());
  return std::get<Array>(value_);
}
const Json::Object& Json::as_object() const {
  ORRERY_CHECK(is_object(), "expected an object, found ", brief());
  return std::get<Object>(value_);
}
Json::Array& Json::as_array() { return const_cast<Array&>(std::as_const(*this).as_array()); }
Json::Object& Json::as_object() { return const_cast<Object&>(std::as_const(*this).as_object()); }

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const JsonMember& member : std::get<Object>(value_)) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}
Json* Json::find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).find(key)); }

void Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object();
  if (Json* slot = find(key)) {
    *slot = std::move(value);
  } else {
    as_object().push_back({std::string(key), std::move(value)});
  }
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array();
  as_array().push_back(std::move(value));
}

std::string Json::dump(int indent) const {
  std::string out;
  write_value(*this, indent, 0, out);
  return out;
}

const char* Json::kind() const {
  static constexpr const char* kKinds[] = {"null",     "a boolean", "an integer", "a number",
                                           "a string", "an array",  "an object"};
  return kKinds[value_.index()];
}

std::string Json::brief() const {
  if (is_null()) return "null";
  if (is_array()) return "an array of " + std::to_string(as_array().size());
  if (is_object()) return "an object";
  std::string text;
  if (is_number() && !is_integer() && !std::isfinite(as_number())) {
    text = std::to_string(as_number());
  } else {
    text = dump();
  }
  if (text.size() > 60) {
    std::size_t cut = 57;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    text = text.substr(0, cut) + "…";
  }
  return text;
}

std::size_t find_invalid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t size = text.size();
  std::size_t i = 0;
  while (i < size) {
    const unsigned first = bytes[i];
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || i + length > size) return i;
    for (std::size_t k = 1; k < length; ++k) {
      if ((bytes[i + k] & 0xC0) != 0x80) return i;
    }
    const unsigned second = bytes[i + 1];
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F)) {
      return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

}  // namespace orrery
