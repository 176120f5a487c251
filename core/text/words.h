// The words that a model was trained on (`words.txt` in its folder), so that a prompt's other words can be named in a
// warning. Words are compared without case and without the punctuation around them.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

/// The words of a text in order: runs of letters, marks and digits, with apostrophes inside ("it's"); a run of symbols
/// such as emoji is a word too. As they stand in the text. Throws InputError for text that is not valid UTF-8.
std::vector<std::string> words_of(std::string_view text);

/// True when words_of() finds one.
bool has_word(std::string_view text);

/// Lower case (Latin, Greek, Cyrillic) and plain apostrophes.
std::string fold_word(std::string_view word);

class KnownWords {
 public:
  KnownWords() = default;
  /// One word a line; blank lines are skipped. Throws InputError naming the line for what is no single word.
  static KnownWords read(const std::filesystem::path& path);
  /// Sorted, one a line.
  void write(const std::filesystem::path& path) const;

  /// Adds every word of a text (a training caption).
  void add(std::string_view text);
  bool contains(std::string_view word) const { return words_.count(fold_word(word)) > 0; }
  std::size_t size() const { return words_.size(); }

  /// The prompt's words that are not known, as they stand there, each once, in order.
  std::vector<std::string> unknown_words(std::string_view prompt) const;

 private:
  std::set<std::string, std::less<>> words_;  // folded
};

}  // namespace orrery
