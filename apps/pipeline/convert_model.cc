#include "apps/pipeline/convert_model.h"

#include <filesystem>

#include "core/train/language_training.h"

namespace orrery::pipeline {

void convert_model(const std::string& from, const std::string& to, StoredAs stored) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  ORRERY_CHECK(!fs::equivalent(from, to, ignored), "[convert] ", to, " is the folder that is read");
  const Transformer model = load_model(from);
  fs::create_directories(to);
  save_model(model, to, stored);
  for (const char* name : {"tokenizer.json", "words.txt", "codec.json", "codec.safetensors"}) {
    ORRERY_CHECK(fs::exists(fs::path(from) / name), "[convert] ", from, " has no ", name);
    fs::copy_file(fs::path(from) / name, fs::path(to) / name, fs::copy_options::overwrite_existing);
  }
}

}  // namespace orrery::pipeline
