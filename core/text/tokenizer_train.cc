// Tokenizer::train: counts words with the pre-tokenizer asked for, learns merges, and builds the file around them.
#include <map>
#include <unordered_map>

#include "core/base/error.h"
#include "core/text/bpe_trainer.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_state.h"

namespace orrery {

namespace {

Json byte_level_json(bool add_prefix_space) {
  return Json::object(
      {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", true}});
}

/// The file around model and tokens, with the keys in HuggingFace's order.
Json frame_of(const Json& pre_tokenizer) {
  const Json model = Json::object({{"type", "BPE"},
                                   {"dropout", nullptr},
                                   {"unk_token", nullptr},
                                   {"continuing_subword_prefix", nullptr},
                                   {"end_of_word_suffix", nullptr},
                                   {"fuse_unk", false},
                                   {"byte_fallback", false},
                                   {"ignore_merges", false},
                                   {"vocab", nullptr},
                                   {"merges", nullptr}});
  return Json::object({{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", nullptr},
                       {"normalizer", nullptr},
                       {"pre_tokenizer", pre_tokenizer},
                       {"post_processor", nullptr},
                       {"decoder", byte_level_json(true)},
                       {"model", model}});
}

}  // namespace

Tokenizer Tokenizer::train(const std::function<bool(std::string&)>& next_text, const TokenizerTraining& options) {
  auto state = std::make_shared<State>();
  state->frame = frame_of(options.pre_tokenizer.is_null() ? byte_level_json(false) : options.pre_tokenizer);
  state->pretokenizer = Pretokenizer::from_json(*state->frame.find("pre_tokenizer"), "[train tokenizer] pre_tokenizer");
  std::unordered_map<std::string, std::int64_t> counts;
  std::string text;
  std::vector<std::string_view> words;
  std::deque<std::string> owned;
  while (next_text(text)) {
    const std::size_t invalid = find_invalid_utf8(text);
    ORRERY_CHECK(invalid == std::string_view::npos, "[train tokenizer] the text is not valid UTF-8 at byte ", invalid);
    words.clear();
    owned.clear();
    state->pretokenizer.split(text, words, owned);
    for (const std::string_view word : words) ++counts[std::string(word)];
  }
  TrainedBpe trained = train_bpe(std::map<std::string, std::int64_t>(counts.begin(), counts.end()),
                                 {options.vocabulary_size, options.min_frequency, options.max_token_length,
                                  options.all_bytes, options.special_tokens});
  state->bpe = std::make_shared<const Bpe>(std::move(trained.tokens), std::move(trained.merges), Bpe::Options{});
  for (const std::string& content : options.special_tokens) {
    if (state->added.find(content) != nullptr) continue;
    AddedToken token;
    token.content = content;
    token.id = state->bpe->find(content);
    token.special = true;
    state->added.add(std::move(token));
  }
  state->build_tables();
  return Tokenizer(std::move(state));
}

}  // namespace orrery
