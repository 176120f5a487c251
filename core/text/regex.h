// Regular expressions as tokenizer files write them (Oniguruma's Ruby syntax, Unicode classes), run by PCRE2's JIT.
// Where the two read a pattern differently it is rewritten (\s, \w, \b, \uXXXX) or refused, never taken amiss.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace orrery {

class Regex {
 public:
  /// Compiles `pattern`. Throws InputError naming the pattern and the place of the fault.
  static Regex compile(std::string_view pattern);
  /// Matches `text` itself, character by character.
  static Regex literal(std::string_view text);

  /// What the pattern was written as.
  const std::string& pattern() const;

  /// Walks over the matches in one text. Cheap to make; one thread at a time. The text must be valid UTF-8 and outlive
  /// it.
  class Matcher {
   public:
    Matcher(const Regex& regex, std::string_view text);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    /// The next match [begin, end), leftmost first; an empty one never directly behind the one before. False at the
    /// end. Throws InputError when the pattern takes more steps than anything sensible needs.
    bool next(std::size_t& begin, std::size_t& end);

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct Compiled;
  explicit Regex(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace orrery
