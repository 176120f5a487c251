// Model folders in HuggingFace's layout: config.json and model.safetensors (or shards with their index).
#pragma once

#include <string>

#include "core/io/parameters_file.h"
#include "core/model/transformer.h"

namespace orrery {

/// How tensors are called in the file. transformers opens both.
enum class WeightNames {
  transformers,  ///< its state_dict: experts stacked
  released,      ///< DeepSeek's checkpoints: one tensor an expert and matrix
};

/// Writes config.json and the weights into an existing folder.
void save_model(const Transformer& model, const std::string& folder, StoredAs stored,
                WeightNames names = WeightNames::transformers);

/// Reads a folder in either naming, or as transformers' save_pretrained writes it. Without any tensor of the
/// multi-token-prediction block (transformers drops it) the model has none. Throws InputError that names the file and
/// what is wrong with it; missing and unknown tensors all in one.
Transformer load_model(const std::string& folder);

}  // namespace orrery
