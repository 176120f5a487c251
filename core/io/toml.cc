#include "core/io/toml.h"

#include <toml++/toml.h>

#include <string>

#include "core/base/error.h"
#include "core/io/files.h"

namespace orrery {

namespace {

std::string position_text(const toml::source_region& region) {
  return "line " + std::to_string(region.begin.line) + ", column " + std::to_string(region.begin.column);
}

Json convert(const toml::node& node, const std::string& source) {
  if (const toml::table* table = node.as_table()) {
    Json::Object object;
    for (const auto& [key, value] : *table) object.push_back({std::string(key.str()), convert(value, source)});
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    Json::Array items;
    for (const toml::node& value : *array) items.push_back(convert(value, source));
    return items;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  throw InputError(source + ": " + position_text(node.source()) + ": dates and times are not used here");
}

}  // namespace

Json parse_toml(std::string_view text, const std::string& source) {
  toml::table table;
  try {
    table = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    throw InputError(source + ": not valid TOML: " + position_text(error.source()) + ": " +
                     std::string(error.description()));
  }
  return convert(table, source);
}

Json read_toml(const std::filesystem::path& path) { return parse_toml(read_file(path), path.string()); }

}  // namespace orrery
