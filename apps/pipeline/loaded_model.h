// A model folder in memory, ready to generate: transformer, codec, tokenizer and the words it knows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/generate/decoder.h"
#include "core/text/sequence.h"
#include "core/text/tokenizer.h"
#include "core/text/words.h"
#include "video/latent/codec.h"

namespace orrery::pipeline {

/// How a model is held.
struct ModelOptions {
  Device device = Device::cpu;  ///< decodes tokens, and the codec's frames
  DType weights = DType::bf16;  ///< the transformer's (core/generate/decoder.h)
};

/// Safe to read from several threads. Rollouts point into it: it stays where it is.
class LoadedModel {
 public:
  /// Reads config.json, model.safetensors, tokenizer.json, words.txt, codec.json and codec.safetensors. Throws
  /// InputError when a file is missing or broken, or when they do not fit each other.
  explicit LoadedModel(const std::string& folder, const ModelOptions& options = {});
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// The folder's own name, "orrery-64".
  const std::string& name() const { return name_; }
  const std::string& folder() const { return folder_; }
  /// SHA-256 over both weight files.
  const std::string& sha256() const { return sha256_; }

  const ModelOptions& options() const { return options_; }
  const ModelConfig& config() const { return decoder_.config(); }
  const LatentCodec& codec() const { return codec_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const SequenceLayout& layout() const { return layout_; }
  const KnownWords& words() const { return words_; }
  const Decoder& decoder() const { return decoder_; }

  /// Frames a second that the model was trained at.
  double fps() const { return config().video.fps; }
  /// Pixels of its frames.
  int width() const;
  int height() const;
  /// Groups (prompt and latent frames) that the model was trained to see at once.
  std::int64_t context_groups() const;
  /// Groups that a prompt may take of these.
  std::int64_t prompt_groups() const;

  /// The prompt's text as ids. Throws InputError for text that is empty, has control characters, is not valid UTF-8 or
  /// too long.
  std::vector<std::int32_t> encode_prompt(const std::string& prompt) const;

 private:
  std::string folder_, name_, sha256_;
  ModelOptions options_;
  LatentCodec codec_;
  Tokenizer tokenizer_;
  SequenceLayout layout_;
  KnownWords words_;
  Decoder decoder_;
};

/// The folder to use: `given` (from -m), else the environment's ORRERY_MODEL, else the shipped model in the source tree
/// or beside the installed program. Throws InputError that lists where it looked.
std::string find_model(const std::string& given);

/// Throws InputError for a prompt that no model can take: empty, control characters, not valid UTF-8.
void check_prompt(const std::string& prompt);

}  // namespace orrery::pipeline
