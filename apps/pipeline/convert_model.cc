#include "apps/pipeline/convert_model.h"

#include <filesystem>

namespace orrery::pipeline {

void convert_model(const std::string& from, const std::string& to, StoredAs stored, WeightNames names) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  ORRERY_CHECK(!fs::equivalent(from, to, ignored), "[convert] ", to, " is the folder that is read");
  const Transformer model = load_model(from);
  fs::create_directories(to);
  save_model(model, to, stored, names);
  for (const char* name : {"tokenizer.json", "words.txt", "codec.json", "codec.safetensors"})
    if (fs::exists(fs::path(from) / name))
      fs::copy_file(fs::path(from) / name, fs::path(to) / name, fs::copy_options::overwrite_existing);
}

}  // namespace orrery::pipeline
