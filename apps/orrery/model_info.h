// orrery info FOLDER: what a model is.
#pragma once

#include <string>

namespace orrery::cli {

/// Prints size, layers, codec, context and where the card lies. Throws InputError for a folder that is no model.
void print_model_info(const std::string& folder, bool json);

}  // namespace orrery::cli
