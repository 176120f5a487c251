#include "core/text/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>

#include "core/base/error.h"
#include "core/text/byte_level.h"

namespace orrery {

namespace {

constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();
/// Up to here a scan for the best pair beats a heap.
constexpr std::size_t kShortWord = 48;

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}
std::uint64_t mix(std::uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return key ^ key >> 32;
}

}  // namespace

Bpe::Bpe(std::vector<std::string> tokens, std::vector<BpeMerge> merges, Options options)
    : tokens_(std::move(tokens)), merges_(std::move(merges)), options_(std::move(options)) {
  const auto count = static_cast<std::int32_t>(tokens_.size());
  by_spelling_.reserve(tokens_.size());
  for (std::int32_t id = 0; id < count; ++id) {
    const std::string& spelling = tokens_[static_cast<std::size_t>(id)];
    if (spelling.empty()) continue;
    ORRERY_CHECK(by_spelling_.emplace(spelling, id).second, "the token \"", spelling, "\" has two ids");
    if (!options_.ignore_merges) continue;
    if (auto bytes = from_byte_alphabet(spelling)) by_bytes_.emplace(std::move(*bytes), id);
  }
  for (std::size_t byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = find(to_byte_alphabet(std::string(1, static_cast<char>(byte))));
  if (!options_.unknown_token.empty()) {
    unknown_ = find(options_.unknown_token);
    ORRERY_CHECK(unknown_ >= 0, "unk_token \"", options_.unknown_token, "\" is not in the vocabulary");
  }
  for (const BpeMerge& merge : merges_) {
    for (const std::int32_t id : {merge.left, merge.right, merge.result})
      ORRERY_CHECK(id >= 0 && id < count, "a merge names the id ", id, ", expected 0 to ", count - 1);
  }
  build_pair_table();
}

void Bpe::build_pair_table() {
  const std::size_t size = std::bit_ceil(merges_.size() * 2 + 2);
  keys_.assign(size, kEmpty);
  ranks_.assign(size, Rank{});
  for (std::size_t i = 0; i < merges_.size(); ++i) {
    const std::uint64_t key = pair_key(merges_[i].left, merges_[i].right);
    std::size_t slot = mix(key) & (size - 1);
    while (keys_[slot] != kEmpty && keys_[slot] != key) slot = (slot + 1) & (size - 1);
    keys_[slot] = key;
    ranks_[slot] = {static_cast<std::int32_t>(i), merges_[i].result};
  }
}

const Bpe::Rank* Bpe::rank_of(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = pair_key(left, right);
  const std::size_t mask = keys_.size() - 1;
  for (std::size_t slot = mix(key) & mask;; slot = (slot + 1) & mask) {
    if (keys_[slot] == key) return &ranks_[slot];
    if (keys_[slot] == kEmpty) return nullptr;
  }
}

std::int32_t Bpe::find(std::string_view spelling) const {
  const auto found = by_spelling_.find(spelling);
  return found == by_spelling_.end() ? -1 : found->second;
}

bool Bpe::covers_all_bytes() const {
  return std::all_of(byte_ids_.begin(), byte_ids_.end(), [](std::int32_t id) { return id >= 0; });
}

void Bpe::start_symbols(std::string_view word, std::vector<std::int32_t>& symbols) const {
  symbols.clear();
  // The file's alphabet writes each byte as a character, so an unknown byte is an unknown character.
  bool last_unknown = false;
  for (const char c : word) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      symbols.push_back(id);
    } else if (unknown_ >= 0 && !(last_unknown && options_.fuse_unknown)) {
      symbols.push_back(unknown_);
    }
    last_unknown = id < 0;
  }
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty() || keys_.empty()) return;
  if (options_.ignore_merges) {
    const auto whole = by_bytes_.find(std::string(word));
    if (whole != by_bytes_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(word.size());
  start_symbols(word, symbols);
  if (symbols.size() <= kShortWord) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void Bpe::merge_short(std::vector<std::int32_t>& symbols) const {
  std::array<Rank, kShortWord> ranks;
  const auto look_up = [&](std::size_t i) {
    const Rank* rank = i + 1 < symbols.size() ? rank_of(symbols[i], symbols[i + 1]) : nullptr;
    ranks[i] = rank != nullptr ? *rank : Rank{kNoRank, 0};
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) look_up(i);
  while (symbols.size() > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < symbols.size(); ++i) {
      if (ranks[i].rank < ranks[best].rank) best = i;
    }
    if (ranks[best].rank == kNoRank) return;
    symbols[best] = ranks[best].result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(ranks.begin() + static_cast<std::ptrdiff_t>(best) + 2,
              ranks.begin() + static_cast<std::ptrdiff_t>(symbols.size()) + 1,
              ranks.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
}

void Bpe::merge_long(std::vector<std::int32_t>& symbols) const {
  // A linked list of symbols and a heap of candidate pairs by (rank, position); an entry whose pair has changed since
  // is skipped. O(n log n), so that a megabyte without a space is no problem.
  struct Candidate {
    std::int32_t rank, result;
    std::size_t left;
    std::int32_t left_id, right_id;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  constexpr std::size_t kNone = std::string_view::npos;
  const std::size_t count = symbols.size();
  std::vector<std::size_t> next(count), previous(count);
  for (std::size_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto consider = [&](std::size_t left) {
    if (left == kNone || next[left] == kNone) return;
    const std::int32_t a = symbols[left], b = symbols[next[left]];
    if (const Rank* rank = rank_of(a, b)) heap.push({rank->rank, rank->result, left, a, b});
  };
  for (std::size_t i = 0; i + 1 < count; ++i) consider(i);
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    const std::size_t right = next[top.left];
    if (symbols[top.left] != top.left_id || right == kNone || symbols[right] != top.right_id) continue;
    symbols[top.left] = top.result;
    symbols[right] = -1;
    next[top.left] = next[right];
    if (next[right] != kNone) previous[next[right]] = top.left;
    consider(previous[top.left]);
    consider(top.left);
  }
  symbols.erase(std::remove(symbols.begin(), symbols.end(), -1), symbols.end());
}

}  // namespace orrery
