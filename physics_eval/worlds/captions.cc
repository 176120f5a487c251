#include "physics_eval/worlds/captions.h"

#include <array>
#include <cctype>
#include <set>

#include "core/base/error.h"
#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {
namespace {

constexpr std::string_view kSmall = "(small|small|little|tiny)", kBig = "(big|big|large|huge)";
constexpr std::string_view kArticle = "(a|a|a|a|one|the)";
constexpr std::string_view kLeft = "(to the left|to the left|leftwards|towards the left|left)";
constexpr std::string_view kRight = "(to the right|to the right|rightwards|towards the right|right)";
constexpr std::array<std::string_view, 9> kCounts = {"two",   "three", "four", "five", "six",
                                                     "seven", "eight", "nine", "ten"};

// Parses one alternative list up to ')' or the end; appends one choice to `out` when `chosen`.
class Expander {
 public:
  Expander(std::string_view text, const Slots& slots, Random& random) : text_(text), slots_(slots), random_(random) {}

  std::string run() {
    std::string out = sequence();
    ORRERY_ASSERT(at_ == text_.size(), "[captions] unbalanced bracket in '", text_, "'");
    return out;
  }

 private:
  std::string sequence() {
    std::string out;
    while (at_ < text_.size() && text_[at_] != ')' && text_[at_] != '|') {
      const char c = text_[at_++];
      if (c == '(') {
        out += choice();
      } else if (c == '$') {
        std::string name;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0)) name += text_[at_++];
        const auto found = slots_.find(name);
        ORRERY_ASSERT(found != slots_.end(), "[captions] slot $", name, " of '", text_, "' is not filled");
        out += found->second;
      } else {
        out += c;
      }
    }
    return out;
  }

  std::string choice() {
    std::vector<std::string> options{sequence()};
    while (at_ < text_.size() && text_[at_] == '|') {
      ++at_;
      options.push_back(sequence());
    }
    ORRERY_ASSERT(at_ < text_.size() && text_[at_] == ')', "[captions] unbalanced bracket in '", text_, "'");
    ++at_;
    return options[random_.below(options.size())];
  }

  std::string_view text_;
  const Slots& slots_;
  Random& random_;
  std::size_t at_ = 0;
};

std::string plural(std::string word) { return word + (word.back() == 'x' ? "es" : "s"); }

}  // namespace

std::string tidy(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    if (c == ',' && !out.empty() && out.back() == ' ') out.pop_back();
    out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  for (std::size_t at = 0; at + 2 < out.size(); ++at) {
    const bool article = out[at] == 'a' && out[at + 1] == ' ' && (at == 0 || out[at - 1] == ' ');
    if (article && std::string_view("aeiou").find(out[at + 2]) != std::string_view::npos) out.insert(at + 1, "n");
  }
  return out;
}

std::string expand(std::string_view grammar, const Slots& slots, Random& random) {
  return tidy(Expander(grammar, slots, random).run());
}

std::string expand_one(const std::vector<std::string_view>& templates, const Slots& slots, Random& random) {
  return expand(templates[random.below(templates.size())], slots, random);
}

std::vector<std::string> words_of(std::string_view grammar) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty() && word[0] != '$') words.push_back(word);
    word.clear();
  };
  for (const char c : grammar) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '$' || c == '\'' || c == '-') {
      word += c;
    } else {
      flush();
    }
  }
  flush();
  return words;
}

Subject subject_of(const BodyInfo& body, double view_height) {
  constexpr double kSmallShare = 0.087, kBigShare = 0.118;
  const double share = body.radius / view_height;
  return {body.colour, share < kSmallShare ? -1 : (share > kBigShare ? 1 : 0)};
}

std::string noun(const Subject& subject, Random& random) {
  std::string text;
  if (subject.size != 0 && random.chance(0.5)) text = expand(subject.size < 0 ? kSmall : kBig, {}, random) + " ";
  return text + subject.colour + " " + expand(subject.noun, {}, random);
}

std::string noun_phrase(const Subject& subject, Random& random) {
  const std::string article = expand(kArticle, {}, random);
  return tidy(article + " " + noun(subject, random));
}

std::string group_phrase(const std::vector<Subject>& subjects, Random& random) {
  if (subjects.size() == 1) return noun_phrase(subjects[0], random);
  const auto join = [&](const std::vector<std::string>& parts) {
    std::string text = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) text += (i + 1 == parts.size() ? " and " : ", ") + parts[i];
    return text;
  };
  std::vector<std::string> parts;
  const std::string kinds = plural(expand(subjects[0].noun, {}, random));
  switch (random.below(5)) {
    case 0:
      return count_word(static_cast<int>(subjects.size())) + " " + kinds;
    case 1:
      for (const Subject& subject : subjects) parts.push_back("one " + subject.colour);
      return count_word(static_cast<int>(subjects.size())) + " " + kinds + ", " + join(parts);
    case 2:
      for (const Subject& subject : subjects) parts.push_back(subject.colour);
      return count_word(static_cast<int>(subjects.size())) + " " + kinds + ", " + join(parts);
    default:
      for (const Subject& subject : subjects) parts.push_back(noun_phrase(subject, random));
      return join(parts);
  }
}

std::string direction_phrase(bool right, Random& random) { return expand(right ? kRight : kLeft, {}, random); }

std::string count_word(int count) {
  if (count == 1) return "one";
  ORRERY_ASSERT(count >= 2 && count <= 10, "[captions] no word for ", count);
  return std::string(kCounts[static_cast<std::size_t>(count - 2)]);
}

const std::vector<std::string>& caption_words() {
  static const std::vector<std::string> words = [] {
    std::set<std::string> all = {"an", "and", "one"};
    const auto add = [&](std::string_view grammar) {
      for (const std::string& word : words_of(grammar)) all.insert(word);
    };
    for (const std::string_view grammar : {kSmall, kBig, kArticle, kLeft, kRight}) add(grammar);
    for (const std::string_view count : kCounts) add(count);
    for (const NamedColour& colour : named_colours()) add(colour.name);
    for (const std::string& noun_word : words_of(Subject{}.noun)) {
      all.insert(noun_word);
      all.insert(plural(noun_word));
    }
    for (const SceneInfo& scene : scene_registry()) {
      for (const std::string_view grammar : scene.grammar) add(grammar);
    }
    return std::vector<std::string>(all.begin(), all.end());
  }();
  return words;
}

}  // namespace orrery::worlds
