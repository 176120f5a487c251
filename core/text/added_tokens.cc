#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/text/regex.h"

namespace orrery {

namespace {

/// Whether the text starts or ends with a character of the class \w; the patterns are tried on a few bytes only.
bool ends_with_word(std::string_view text) {
  static const Regex regex = Regex::compile("\\w\\z");
  std::size_t from = text.size();
  while (from > 0 && text.size() - from < 4) {
    --from;
    if ((static_cast<unsigned char>(text[from]) & 0xC0) != 0x80) break;
  }
  std::size_t begin = 0, end = 0;
  return Regex::Matcher(regex, text.substr(from)).next(begin, end);
}

bool starts_with_word(std::string_view text) {
  static const Regex regex = Regex::compile("\\A\\w");
  std::size_t length = std::min<std::size_t>(1, text.size());
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) ++length;
  std::size_t begin = 0, end = 0;
  return Regex::Matcher(regex, text.substr(0, length)).next(begin, end);
}

/// Bytes of the white-space character at the start (or end) of the text, 0 when there is none.
std::size_t leading_space(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  if ((first >= 9 && first <= 13) || first == ' ') return 1;
  if (text.substr(0, 2) == "\xC2\x85" || text.substr(0, 2) == "\xC2\xA0") return 2;
  const std::string_view three = text.substr(0, 3);
  if (three.size() < 3) return 0;
  const auto last = static_cast<unsigned char>(three[2]);
  const bool general = three.substr(0, 2) == "\xE2\x80" &&
                       ((last >= 0x80 && last <= 0x8A) || last == 0xA8 || last == 0xA9 || last == 0xAF);
  return general || three == "\xE1\x9A\x80" || three == "\xE2\x81\x9F" || three == "\xE3\x80\x80" ? 3 : 0;
}

std::size_t trailing_space(std::string_view text) {
  for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
    if (leading_space(text.substr(text.size() - length)) == length) return length;
  }
  return 0;
}

}  // namespace

void AddedTokens::Trie::insert(std::string_view content, std::int32_t index) {
  first[static_cast<unsigned char>(content[0])] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const std::uint64_t key = std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
    const auto [edge, fresh] = edges.emplace(key, static_cast<std::uint32_t>(token.size()));
    if (fresh) token.push_back(-1);
    node = edge->second;
  }
  token[node] = index;
}

std::int32_t AddedTokens::Trie::longest(std::string_view text, std::size_t at) const {
  std::int32_t best = -1;
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto edge = edges.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (edge == edges.end()) break;
    node = edge->second;
    if (token[node] >= 0) best = token[node];
  }
  return best;
}

void AddedTokens::add(AddedToken token) {
  ORRERY_CHECK(!token.content.empty(), "an added token is empty");
  ORRERY_CHECK(token.id >= 0, "the added token \"", token.content, "\" has the id ", token.id, ", expected one from 0");
  const auto index = static_cast<std::int32_t>(tokens_.size());
  const auto taken = by_id_.find(token.id);
  // The macro looks at its message's parts only when the check fails.
  ORRERY_CHECK(taken == by_id_.end(), "the added tokens \"", tokens_[static_cast<std::size_t>(taken->second)].content,
               "\" and \"", token.content, "\" have the same id ", token.id);
  ORRERY_CHECK(by_content_.emplace(token.content, index).second, "the added token \"", token.content,
               "\" appears twice");
  by_id_.emplace(token.id, index);
  (token.normalized ? normalized_ : plain_).insert(token.content, index);
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[static_cast<std::size_t>(found->second)];
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[static_cast<std::size_t>(found->second)];
}

void AddedTokens::cut(const Trie& trie, std::string_view text, bool skip_special,
                      std::vector<TextSegment>& segments) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!trie.first[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const std::int32_t index = trie.longest(text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    std::size_t begin = at, end = at + token.content.size();
    at = end;
    if (skip_special && token.special) continue;
    if (token.single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
    if (token.lstrip) {
      while (const std::size_t space = trailing_space(text.substr(0, begin))) begin -= space;
      begin = std::max(begin, done);
    }
    if (token.rstrip) {
      while (const std::size_t space = leading_space(text.substr(end))) end += space;
    }
    if (done < begin) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
}

std::vector<TextSegment> AddedTokens::split(std::string_view text, bool skip_special) const {
  std::vector<TextSegment> first, segments;
  cut(plain_, text, skip_special, first);
  if (normalized_.edges.empty()) return first;
  for (const TextSegment& segment : first) {
    if (segment.id >= 0) {
      segments.push_back(segment);
    } else {
      cut(normalized_, segment.text, skip_special, segments);
    }
  }
  return segments;
}

}  // namespace orrery
