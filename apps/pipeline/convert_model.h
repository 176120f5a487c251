// orrery convert: a model folder with its weights stored in another number format.
#pragma once

#include <string>

#include "core/io/parameters_file.h"

namespace orrery::pipeline {

/// Reads the model folder `from`, writes it to `to` (created; must not be `from`) with matrices stored as `stored`;
/// tokenizer, words and codec are copied. Throws InputError naming what is missing.
void convert_model(const std::string& from, const std::string& to, StoredAs stored);

}  // namespace orrery::pipeline
