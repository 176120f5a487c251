// orrery convert: a model folder with its weights stored in another number format.
#pragma once

#include <string>

#include "core/model/checkpoint.h"

namespace orrery::pipeline {

/// Reads the model folder `from`, writes it to `to` (created; must not be `from`) with matrices stored as `stored` and
/// tensors called by `names`; tokenizer, words and codec are copied where they are there. Throws InputError.
void convert_model(const std::string& from, const std::string& to, StoredAs stored,
                   WeightNames names = WeightNames::transformers);

}  // namespace orrery::pipeline
