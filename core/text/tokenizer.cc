#include "core/text/tokenizer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"
#include "core/text/byte_level.h"
#include "core/text/tokenizer_state.h"

namespace orrery {

namespace {

/// Remembers the ids of short words within one call: a direct-mapped table, as large as the text makes worth while.
class WordCache {
 public:
  WordCache(const Bpe& bpe, std::size_t text_bytes) : bpe_(bpe) {
    if (text_bytes >= 1024) slots_.resize(std::min<std::size_t>(std::size_t{1} << 15, std::bit_ceil(text_bytes / 8)));
  }

  void encode(std::string_view word, std::vector<std::int32_t>& ids) {
    if (word.size() > kMaxWord || slots_.empty()) return bpe_.encode(word, ids);
    Slot& slot = slots_[hash(word) & (slots_.size() - 1)];
    if (slot.length == word.size() && std::memcmp(slot.word, word.data(), word.size()) == 0) {
      ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
      return;
    }
    const std::size_t before = ids.size();
    bpe_.encode(word, ids);
    const std::size_t count = ids.size() - before;
    if (count > kMaxIds) return;
    slot.length = static_cast<std::uint8_t>(word.size());
    slot.count = static_cast<std::uint8_t>(count);
    std::memcpy(slot.word, word.data(), word.size());
    std::copy(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end(), slot.ids);
  }

 private:
  static constexpr std::size_t kMaxWord = 22, kMaxIds = 10;
  struct Slot {
    std::uint8_t length = 0, count = 0;
    char word[kMaxWord];
    std::int32_t ids[kMaxIds];
  };
  static std::size_t hash(std::string_view word) {
    std::uint64_t value = 0xCBF29CE484222325u;
    for (const char c : word) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    return static_cast<std::size_t>(value ^ value >> 32);
  }

  const Bpe& bpe_;
  std::vector<Slot> slots_;
};

}  // namespace

void Tokenizer::State::build_tables() {
  spelling = bpe->tokens();
  std::size_t size = spelling.size();
  for (const AddedToken& token : added.all()) size = std::max(size, static_cast<std::size_t>(token.id) + 1);
  spelling.resize(size);
  for (const AddedToken& token : added.all()) spelling[static_cast<std::size_t>(token.id)] = token.content;
  bytes.clear();
  bytes.reserve(size);
  // A spelling outside the byte-level alphabet stands for itself.
  for (const std::string& text : spelling) bytes.push_back(from_byte_alphabet(text).value_or(text));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const std::size_t invalid = find_invalid_utf8(text);
  ORRERY_CHECK(invalid == std::string_view::npos, "[encode] the text is not valid UTF-8 at byte ", invalid);
  const State& state = *state_;
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 4 + 8);
  if (options.add_special_tokens) ids = state.prefix;
  WordCache cache(*state.bpe, text.size());
  std::vector<std::string_view> words;
  std::deque<std::string> owned;
  for (const TextSegment& segment : state.added.split(text, options.special_as_text)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    words.clear();
    owned.clear();
    state.pretokenizer.split(segment.text, words, owned);
    for (const std::string_view word : words) cache.encode(word, ids);
  }
  if (options.add_special_tokens) ids.insert(ids.end(), state.suffix.begin(), state.suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string& piece = bytes(id);
    if (skip_special) {
      const AddedToken* added = state_->added.find(id);
      if (added != nullptr && added->special) continue;
    }
    text += piece;
  }
  return replace_invalid_utf8(text);
}

const std::string& Tokenizer::bytes(std::int32_t id) const {
  ORRERY_CHECK(id >= 0 && id < size(), "[decode] the token id is ", id, ", expected 0 to ", size() - 1);
  return state_->bytes[static_cast<std::size_t>(id)];
}

std::int32_t Tokenizer::size() const { return static_cast<std::int32_t>(state_->spelling.size()); }

std::optional<std::int32_t> Tokenizer::find(std::string_view token) const {
  if (const AddedToken* added = state_->added.find(token)) return added->id;
  const std::int32_t id = state_->bpe->find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

const std::string& Tokenizer::token(std::int32_t id) const {
  ORRERY_CHECK(id >= 0 && id < size() && !state_->spelling[static_cast<std::size_t>(id)].empty(),
               "no token has the id ", id, ", expected one from 0 to ", size() - 1);
  return state_->spelling[static_cast<std::size_t>(id)];
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const { return state_->added.all(); }

std::int32_t Tokenizer::add_tokens(std::span<const AddedToken> tokens) {
  auto state = std::make_shared<State>(*state_);
  const std::int32_t first = size();
  std::int32_t next = first;
  for (AddedToken token : tokens) {
    ORRERY_CHECK(!find(token.content).has_value(), "the added token \"", token.content,
                 "\" is in the vocabulary already");
    token.id = next++;
    state->added.add(std::move(token));
  }
  state->build_tables();
  state_ = std::move(state);
  return first;
}

}  // namespace orrery
