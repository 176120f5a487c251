// Tokens that stand beside the learned vocabulary and are found in the text before anything else cuts it: marks such as
// <bos>, video codes, chat roles.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orrery {

struct AddedToken {
  std::string content;
  std::int32_t id = -1;
  bool single_word = false;  ///< Only where no letter or digit touches it.
  bool lstrip = false;       ///< Takes the white space on its left with it.
  bool rstrip = false;       ///< Takes the white space on its right with it.
  bool normalized = false;   ///< Looked for after all tokens that are not.
  bool special = false;      ///< Left out of decoded text on request.
  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

/// A stretch of text: an added token (id ≥ 0), or text between them (id −1).
struct TextSegment {
  std::string_view text;
  std::int32_t id = -1;
};

/// Finds added tokens: leftmost first, the longest at a place.
class AddedTokens {
 public:
  /// Appends; the id must be set. Throws InputError for an empty or repeated content, or an id that is taken.
  void add(AddedToken token);
  const std::vector<AddedToken>& all() const { return tokens_; }
  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(std::int32_t id) const;

  /// Cuts the text at added tokens; with `skip_special` special ones count as ordinary text.
  std::vector<TextSegment> split(std::string_view text, bool skip_special) const;

 private:
  /// A trie over bytes: edges by (node, byte).
  struct Trie {
    std::unordered_map<std::uint64_t, std::uint32_t> edges;
    std::vector<std::int32_t> token{-1};  // by node: index into tokens_, or −1
    bool first[256] = {};
    void insert(std::string_view content, std::int32_t index);
    /// The longest token that starts at `at`: its index, or −1.
    std::int32_t longest(std::string_view text, std::size_t at) const;
  };
  void cut(const Trie& trie, std::string_view text, bool skip_special, std::vector<TextSegment>& segments) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::int32_t> by_content_;
  std::unordered_map<std::int32_t, std::int32_t> by_id_;
  Trie plain_, normalized_;
};

}  // namespace orrery
