// Byte-pair encoding of one word (Sennrich et al. 2016): starting from single bytes, the pair that was learned first is
// merged, leftmost first, until no learned pair is left.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orrery {

/// One learned pair, in the order of learning.
struct BpeMerge {
  std::int32_t left = 0, right = 0, result = 0;
};

class Bpe {
 public:
  struct Options {
    std::string unknown_token;   ///< Written for bytes that have no token; "": they are dropped.
    bool fuse_unknown = false;   ///< Neighbouring unknown bytes give one token.
    bool ignore_merges = false;  ///< A word that is itself a token is that token, whatever the merges say.
  };

  Bpe() = default;
  /// `tokens[id]` is the token's spelling in the file, in the byte-level alphabet; "" where an id is not used. A later
  /// merge of a pair overrides an earlier one. Throws InputError for ids out of range or two tokens of one spelling.
  Bpe(std::vector<std::string> tokens, std::vector<BpeMerge> merges, Options options);
  Bpe(Bpe&&) = default;
  Bpe& operator=(Bpe&&) = default;
  Bpe(const Bpe&) = delete;  // the maps point into the tokens
  Bpe& operator=(const Bpe&) = delete;

  /// Appends the ids of one word of raw bytes. Safe from several threads.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

  /// Spelling → id, or −1.
  std::int32_t find(std::string_view spelling) const;
  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::vector<BpeMerge>& merges() const { return merges_; }
  const Options& options() const { return options_; }
  /// Tokens with a spelling.
  std::int32_t count() const { return static_cast<std::int32_t>(by_spelling_.size()); }
  /// False when some byte has no token of its own.
  bool covers_all_bytes() const;

 private:
  struct Rank {
    std::int32_t rank, result;
  };
  const Rank* rank_of(std::int32_t left, std::int32_t right) const;
  void build_pair_table();
  void start_symbols(std::string_view word, std::vector<std::int32_t>& symbols) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;

  std::vector<std::string> tokens_;
  std::vector<BpeMerge> merges_;
  Options options_;
  std::unordered_map<std::string_view, std::int32_t> by_spelling_;
  std::unordered_map<std::string, std::int32_t> by_bytes_;  // only for ignore_merges
  std::array<std::int32_t, 256> byte_ids_{};
  std::int32_t unknown_ = -1;
  // Open addressing, at most half full; key = left << 32 | right, ~0 where empty.
  std::vector<std::uint64_t> keys_;
  std::vector<Rank> ranks_;
};

}  // namespace orrery
