// Text ↔ ids by byte-level byte-pair encoding, in HuggingFace's tokenizer.json: reads, writes and trains such files and
// gives the same ids as the `tokenizers` library. Supported: model BPE; pre-tokenizers ByteLevel, Split, Digits and
// Sequences of them; no normalizer; decoder ByteLevel; post-processors ByteLevel and TemplateProcessing. Everything
// else is refused by name. `truncation` and `padding` are kept in the file but not applied: lengths are the caller's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/json.h"
#include "core/text/added_tokens.h"

namespace orrery {

struct EncodeOptions {
  /// Puts in what the file's post-processor adds (a <bos>, say).
  bool add_special_tokens = true;
  /// Reads "<bos>" in the text as those five characters: for text that a stranger wrote.
  bool special_as_text = false;
};

struct TokenizerTraining {
  std::int64_t vocabulary_size = 4096;  ///< Tokens in all: special tokens, the 256 bytes, merges.
  std::int64_t min_frequency = 2;       ///< Pairs seen less often are not merged.
  std::vector<std::string> special_tokens;
  /// A `pre_tokenizer` value; null: ByteLevel with GPT-2's pattern and no prefix space.
  Json pre_tokenizer;
  /// All 256 bytes are tokens whether seen or not, so that any text can be encoded.
  bool all_bytes = true;
  /// Longest token in bytes; 0: no limit.
  std::int64_t max_token_length = 0;
};

/// Immutable but for add_tokens(); copies are cheap and share their state. Safe to read from several threads.
class Tokenizer {
 public:
  /// A tokenizer.json or a folder that holds one. Throws InputError.
  static Tokenizer read(const std::filesystem::path& path);
  static Tokenizer parse(std::string_view json, const std::string& source);
  /// Learns merges as HuggingFace's BpeTrainer does (the same file for the same text). `next_text` sets its argument to
  /// the next piece of text and returns true, or returns false at the end; words never span pieces.
  static Tokenizer train(const std::function<bool(std::string&)>& next_text, const TokenizerTraining& options);

  /// The file's text, as HuggingFace writes it; indent < 0: compact.
  std::string dump(int indent = 2) const;
  void write(const std::filesystem::path& path) const;

  /// Throws InputError for text that is not valid UTF-8.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// Text for ids; ill-formed UTF-8 (a cut character) becomes U+FFFD. Throws InputError for ids out of range.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;
  /// The bytes that one id stands for. A character may be spread over several ids.
  const std::string& bytes(std::int32_t id) const;

  /// One above the largest id: the rows that an embedding needs.
  std::int32_t size() const;
  /// The id of an added token or of a token as the file spells it ("Ġa").
  std::optional<std::int32_t> find(std::string_view token) const;
  /// The spelling of an id: an added token's content, or the file's spelling. Throws InputError for unused ids.
  const std::string& token(std::int32_t id) const;
  const std::vector<AddedToken>& added_tokens() const;
  /// Appends added tokens with consecutive ids from size() on (their `id` is ignored) and returns the first id.
  /// Throws InputError when one is there already.
  std::int32_t add_tokens(std::span<const AddedToken> tokens);

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace orrery
