// Where the models that come with the program lie.
#pragma once

#include <string>

namespace orrery::pipeline {

/// The folder `name` in the source tree's models or in the installed program's share folder, where it holds `file`.
/// Throws InputError that says where it looked and what `otherwise` can be done.
std::string shipped_folder(const std::string& name, const std::string& file, const std::string& otherwise);

}  // namespace orrery::pipeline
