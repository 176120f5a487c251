#include "core/text/words.h"

#include <algorithm>
#include <cstdint>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/text/regex.h"

namespace orrery {

namespace {

/// Simple lower case of the letters below U+0530; the rest as it is.
std::uint32_t lower(std::uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c < 0xC0) return c;
  if (c <= 0xDE) return c == 0xD7 ? c : c + 32;
  // Latin Extended-A: pairs, upper case first; at the odd place from U+0139 to U+0148 and from U+0179 on.
  const bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
  if (c == 0x130 || c == 0x131 || c == 0x138 || c == 0x149 || c == 0x17F) return c;
  if (c == 0x178) return 0xFF;
  if (c >= 0x100 && c <= 0x17E) return (c % 2 == 1) == odd ? c + 1 : c;
  if (c == 0x386) return 0x3AC;
  if (c >= 0x388 && c <= 0x38A) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 63;
  if (c >= 0x391 && c <= 0x3AB && c != 0x3A2) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x460 && c <= 0x4FF && (c <= 0x481 || c >= 0x48A) && (c < 0x4C0 || c >= 0x4D0))
    return c % 2 == 0 ? c + 1 : c;
  return c;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  static const Regex regex = Regex::compile(
      "[\\p{L}\\p{M}\\p{N}]+(?:['\\x{2019}][\\p{L}\\p{M}\\p{N}]+)*|[\\p{So}\\p{Sk}\\p{Co}\\p{Cn}\\x{200d}\\x{fe0f}]+");
  const std::size_t invalid = find_invalid_utf8(text);
  ORRERY_CHECK(invalid == std::string_view::npos, "the text is not valid UTF-8 at byte ", invalid);
  std::vector<std::string> words;
  Regex::Matcher matcher(regex, text);
  for (std::size_t begin = 0, end = 0; matcher.next(begin, end);) words.emplace_back(text.substr(begin, end - begin));
  return words;
}

bool has_word(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  // Almost any prompt ends here; the others are for the regular expression.
  return std::any_of(text.begin(), text.end(), plain) || !words_of(text).empty();
}

std::string fold_word(std::string_view word) {
  std::string folded;
  for (std::size_t i = 0; i < word.size();) {
    const auto first = static_cast<unsigned char>(word[i]);
    if (word.substr(i, 3) == "\xE2\x80\x99") {
      folded += '\'';
      i += 3;
    } else if (first >= 0xC2 && first <= 0xDF && i + 1 < word.size()) {
      const std::uint32_t c = lower((first & 0x1Fu) << 6 | (static_cast<unsigned char>(word[i + 1]) & 0x3Fu));
      folded += static_cast<char>(0xC0 | (c >> 6));
      folded += static_cast<char>(0x80 | (c & 0x3F));
      i += 2;
    } else {
      folded += first < 0x80 ? static_cast<char>(lower(first)) : word[i];
      ++i;
    }
  }
  return folded;
}

KnownWords KnownWords::read(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  ORRERY_CHECK(find_invalid_utf8(text) == std::string_view::npos, path.string(), ": it is not valid UTF-8");
  KnownWords known;
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    std::string_view word = std::string_view(text).substr(begin, end - begin);
    if (!word.empty() && word.back() == '\r') word.remove_suffix(1);
    begin = end + 1;
    ++line;
    if (word.empty()) continue;
    const auto words = words_of(word);
    ORRERY_CHECK(words.size() == 1 && words[0] == word, path.string(), ": line ", line, " is not one word");
    known.words_.insert(fold_word(word));
  }
  return known;
}

void KnownWords::write(const std::filesystem::path& path) const {
  std::string text;
  for (const std::string& word : words_) text += word + "\n";
  write_file(path, text);
}

void KnownWords::add(std::string_view text) {
  for (const std::string& word : words_of(text)) words_.insert(fold_word(word));
}

std::vector<std::string> KnownWords::unknown_words(std::string_view prompt) const {
  std::vector<std::string> unknown;
  std::set<std::string> seen;
  for (std::string& word : words_of(prompt)) {
    std::string folded = fold_word(word);
    if (words_.count(folded) == 0 && seen.insert(std::move(folded)).second) unknown.push_back(std::move(word));
  }
  return unknown;
}

}  // namespace orrery
