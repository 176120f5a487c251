// What cuts text into words before byte-pair encoding: the `pre_tokenizer` of a tokenizer.json. A chain of splits by
// regular expression or string, and at its end ByteLevel.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/json.h"
#include "core/text/regex.h"

namespace orrery {

class Pretokenizer {
 public:
  /// Reads the `pre_tokenizer` value. Throws InputError for kinds that are not supported (only Split, Digits, Sequence
  /// and a final ByteLevel are); `where` opens the message.
  static Pretokenizer from_json(const Json& json, const std::string& where);

  /// Appends the words of valid UTF-8, in order; together they are the text (plus prefix spaces, less what a Split of
  /// behaviour Removed takes out). Views point into `text` or into `owned`.
  void split(std::string_view text, std::vector<std::string_view>& words, std::deque<std::string>& owned) const;

 private:
  /// How a Split deals with what the pattern found.
  enum class Behaviour { removed, isolated, merged_with_previous, merged_with_next, contiguous };
  struct Step {
    Regex regex;
    Behaviour behaviour = Behaviour::isolated;
    bool invert = false;
  };
  struct Piece {
    std::size_t begin, end;
    bool match;
  };

  void add(const Json& json, const std::string& where);
  static Behaviour behaviour_from(const std::string& name, const std::string& where);
  static void apply(const Step& step, std::string_view text, std::vector<std::string_view>& words);

  std::vector<Step> steps_;       // before ByteLevel
  std::vector<Step> byte_level_;  // its own regex, or empty
  bool prefix_space_ = false;
  bool closed_ = false;  // ByteLevel has been read
};

}  // namespace orrery
