#include "apps/pipeline/loaded_model.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "apps/pipeline/shipped_folder.h"
#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/model/checkpoint.h"

namespace orrery::pipeline {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFiles[] = {"config.json", "model.safetensors", "tokenizer.json",
                                  "words.txt",   "codec.json",        "codec.safetensors"};
constexpr const char* kShipped = "orrery-64";

// Checked before the first file is read, so that a wrong folder is one clear line.
std::string checked(const std::string& folder) {
  ORRERY_CHECK(fs::is_directory(folder), "model folder ", folder, " is not there");
  for (const char* name : kFiles)
    ORRERY_CHECK(fs::is_regular_file(fs::path(folder) / name), folder, " is no model folder: ", name, " is missing");
  return folder;
}

std::string weights_hash(const fs::path& folder) {
  return sha256_hex(sha256_file_hex((folder / "model.safetensors").string()) +
                    sha256_file_hex((folder / "codec.safetensors").string()));
}

std::string folder_name(const std::string& folder) {
  const fs::path path = fs::weakly_canonical(folder);
  return path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
}

}  // namespace

LoadedModel::LoadedModel(const std::string& folder, const ModelOptions& options)
    : folder_(checked(folder)),
      name_(folder_name(folder)),
      sha256_(weights_hash(folder)),
      options_(options),
      codec_(load_codec(folder)),
      tokenizer_(Tokenizer::read(folder)),
      layout_(VideoVocabulary::from(tokenizer_, static_cast<std::int32_t>(codec_.config().codes()))),
      words_(KnownWords::read(fs::path(folder) / "words.txt")),
      decoder_(load_model(folder), options.weights, options.device) {
  codec_.parameters().move_to(options.device);
  const VideoVocabulary& vocabulary = layout_.vocabulary();
  ORRERY_CHECK(vocabulary.size() == config().ids() && vocabulary.first_code() == config().first_code(), folder,
               ": tokenizer and codec have ", vocabulary.size(), " ids with codes from ", vocabulary.first_code(),
               " on, the model ", config().ids(), " with codes from ", config().first_code(), ", expected the same");
  ORRERY_CHECK(context_groups() >= 3, folder, ": trained_context is ", config().video.trained_context,
               " tokens, expected at least 3 groups of ", layout_.group());
}

int LoadedModel::width() const {
  return static_cast<int>(layout_.vocabulary().sizes().columns * codec_.config().space_factor);
}
int LoadedModel::height() const {
  return static_cast<int>(layout_.vocabulary().sizes().rows * codec_.config().space_factor);
}

std::int64_t LoadedModel::context_groups() const { return config().video.trained_context / layout_.group(); }
std::int64_t LoadedModel::prompt_groups() const { return std::clamp<std::int64_t>(context_groups() / 4, 1, 4); }

std::vector<std::int32_t> LoadedModel::encode_prompt(const std::string& prompt) const {
  check_prompt(prompt);
  EncodeOptions options;
  options.add_special_tokens = false;
  options.special_as_text = true;
  std::vector<std::int32_t> ids = tokenizer_.encode(prompt, options);
  const auto most = static_cast<std::size_t>(prompt_groups() * layout_.group() - 2);  // <bos> and <video>
  ORRERY_CHECK(ids.size() <= most, "the prompt is ", words_of(prompt).size(), " words (", ids.size(),
               " tokens), expected at most ", most, " tokens");
  return ids;
}

std::string find_model(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* environment = std::getenv("ORRERY_MODEL"); environment != nullptr && *environment != '\0')
    return environment;
  return shipped_folder(kShipped, "model.safetensors", "name a folder by -m or ORRERY_MODEL");
}

void check_prompt(const std::string& prompt) {
  const std::size_t bad = find_invalid_utf8(prompt);
  ORRERY_CHECK(bad == std::string::npos, "the prompt is not valid UTF-8 at byte ", bad);
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const auto byte = static_cast<unsigned char>(prompt[i]);
    const bool c1 = byte == 0xC2 &&
                    static_cast<unsigned char>(prompt[i + 1]) < 0xA0;  // U+0080 to U+009F; valid UTF-8 has a next byte
    ORRERY_CHECK(byte >= 0x20 && byte != 0x7F && !c1, "the prompt has a control character at byte ", i,
                 ", expected one line of text");
  }
  ORRERY_CHECK(has_word(prompt), "the prompt is empty, expected words such as \"a red ball bounces on the floor\"");
}

}  // namespace orrery::pipeline
