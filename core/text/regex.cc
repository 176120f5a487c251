#include "core/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

#include "core/base/error.h"

namespace orrery {

struct Regex::Compiled {
  std::string pattern;
  pcre2_code* code = nullptr;
  bool jit = false;

  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { pcre2_code_free(code); }
};

namespace {

// Unicode's White_Space, which is what Oniguruma's \s means; PCRE2's adds U+180E.
constexpr const char* kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr const char* kNotSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
// Alphabetic, marks, decimal digits and connectors (UTS #18); PCRE2 10.42 leaves out marks and connectors.
constexpr const char* kWord =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{"
    "1f189}";

/// Rewrites Oniguruma's syntax to PCRE2's; refuses what would mean something else there.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (in_class_) {
        class_item();
      } else {
        item();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError("regular expression " + std::string(pattern_) + ": at byte " + std::to_string(at_) + ": " + why);
  }
  bool follows(std::string_view text) const { return pattern_.substr(at_, text.size()) == text; }
  void copy(std::size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }

  void item() {
    if (follows("\\")) {
      escape();
    } else if (follows("[")) {
      in_class_ = true;
      copy(1);
      if (follows("^")) copy(1);
      if (follows("]")) copy(1);  // first in a class it stands for itself
    } else if (follows("(")) {
      group();
    } else if (follows("{,")) {
      refuse("write {0,n} instead of {,n}");
    } else if (follows("}+")) {
      refuse("{n,m}+ repeats in one syntax and is possessive in another; write (?>…) or (?:…)+");
    } else {
      copy(1);
    }
  }

  void group() {
    if (follows("(*")) refuse("verbs are not supported");
    if (!follows("(?")) return copy(1);
    for (const char* known : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)", "(?-i:", "(?-i)"}) {
      if (follows(known)) return copy(std::char_traits<char>::length(known));
    }
    refuse("this kind of group is not supported");
  }

  void class_item() {
    if (follows("]")) {
      in_class_ = false;
      copy(1);
    } else if (follows("[")) {
      refuse("a class inside a class is not supported");
    } else if (follows("&&")) {
      refuse("&& inside a class is not supported");
    } else if (follows("\\")) {
      escape();
    } else {
      copy(1);
    }
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse("it ends in a lone backslash");
    const char c = pattern_[at_ + 1];
    if (c == 's' || c == 'S') {
      at_ += 2;
      const std::string items = c == 's' ? kSpace : kNotSpace;
      out_ += in_class_ ? items : "[" + items + "]";
    } else if (c == 'w' || (c == 'W' && !in_class_)) {
      at_ += 2;
      out_ += in_class_ ? kWord : std::string(c == 'w' ? "[" : "[^") + kWord + "]";
    } else if (c == 'b' && !in_class_) {
      at_ += 2;
      const std::string word = std::string("[") + kWord + "]";
      out_ += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
    } else if (c == 'u') {
      const std::string_view digits = pattern_.substr(at_ + 2, 4);
      if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
        refuse("\\u wants four hexadecimal digits");
      at_ += 6;
      out_ += "\\x{" + std::string(digits) + "}";
    } else if (c == 'x' && !follows("\\x{") && at_ + 2 < pattern_.size() && pattern_[at_ + 2] > '7') {
      refuse("\\x names a byte above 7F here; write \\u or \\x{…}");
    } else if (std::string_view("dDpPnrtfvaexAzZ0123456789").find(c) != std::string_view::npos ||
               !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
      const bool braced = (c == 'p' || c == 'P' || c == 'x') && at_ + 2 < pattern_.size() && pattern_[at_ + 2] == '{';
      const std::size_t close = braced ? pattern_.find('}', at_) : std::string_view::npos;
      if (braced && close == std::string_view::npos) refuse("a brace is not closed");
      copy(braced ? close + 1 - at_ : 2);
    } else {
      refuse(std::string("the escape \\") + c + " is not supported");
    }
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

std::string pcre_message(int error) {
  PCRE2_UCHAR text[200];
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

pcre2_code* compile_code(const std::string& pattern, const std::string& translated, std::uint32_t options) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  ORRERY_ASSERT(context != nullptr, "out of memory for a regular expression");
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error,
                                   &offset, context);
  pcre2_compile_context_free(context);
  ORRERY_CHECK(code != nullptr, "regular expression ", pattern, ": ", pcre_message(error), " at byte ", offset,
               translated == pattern ? "" : " of " + translated);
  return code;
}

/// The heap and step limits keep a hostile pattern from taking all memory or for ever.
constexpr std::uint32_t kMatchLimit = 20'000'000;
constexpr std::size_t kJitStackStart = 64 * 1024, kJitStackLimit = 32 * 1024 * 1024;

}  // namespace

Regex Regex::compile(std::string_view pattern) {
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = pattern;
  // Ruby's ^ and $ match at every line.
  compiled->code = compile_code(compiled->pattern, Translator(pattern).run(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE);
  compiled->jit = pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE) == 0;
  return Regex(std::move(compiled));
}

Regex Regex::literal(std::string_view text) {
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = text;
  compiled->code = compile_code(compiled->pattern, compiled->pattern, PCRE2_UTF | PCRE2_LITERAL);
  compiled->jit = pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE) == 0;
  return Regex(std::move(compiled));
}

const std::string& Regex::pattern() const { return compiled_->pattern; }

struct Regex::Matcher::State {
  std::shared_ptr<const Compiled> compiled;
  std::string_view text;
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  std::size_t from = 0, last_end = std::string_view::npos;

  ~State() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  int match() {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int count = PCRE2_ERROR_JIT_STACKLIMIT;
    if (compiled->jit) {
      count = pcre2_jit_match(compiled->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
      if (count == PCRE2_ERROR_JIT_STACKLIMIT && stack == nullptr) {
        stack = pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr);
        pcre2_jit_stack_assign(context, nullptr, stack);
        count = pcre2_jit_match(compiled->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
      }
    }
    if (count == PCRE2_ERROR_JIT_STACKLIMIT)
      count = pcre2_match(compiled->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
    return count;
  }
};

Regex::Matcher::Matcher(const Regex& regex, std::string_view text) : state_(std::make_unique<State>()) {
  state_->compiled = regex.compiled_;
  state_->text = text;
  state_->data = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  ORRERY_ASSERT(state_->data != nullptr && state_->context != nullptr, "out of memory for a regular expression");
  pcre2_set_match_limit(state_->context, kMatchLimit);
}

Regex::Matcher::~Matcher() = default;

bool Regex::Matcher::next(std::size_t& begin, std::size_t& end) {
  State& state = *state_;
  while (state.from <= state.text.size()) {
    const int count = state.match();
    if (count == PCRE2_ERROR_NOMATCH) break;
    ORRERY_CHECK(count >= 0, "regular expression ", state.compiled->pattern, ": ", pcre_message(count));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(state.data);
    if (span[0] == span[1] && span[1] == state.last_end) {
      // An empty match right behind the last one: step over one character.
      do {
        ++state.from;
      } while (state.from < state.text.size() && (static_cast<unsigned char>(state.text[state.from]) & 0xC0) == 0x80);
      continue;
    }
    begin = span[0];
    end = span[1];
    state.from = state.last_end = end;
    return true;
  }
  state.from = state.text.size() + 1;
  return false;
}

}  // namespace orrery
