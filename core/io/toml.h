// TOML configurations (training runs), read into the same values as JSON: use core/io/fields.h on the result and end
// with refuse_unknown().
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/io/json.h"

namespace orrery {

/// Reads a TOML document into an object. Throws InputError naming line and column; dates and times are refused.
Json parse_toml(std::string_view text, const std::string& source);
Json read_toml(const std::filesystem::path& path);

}  // namespace orrery
