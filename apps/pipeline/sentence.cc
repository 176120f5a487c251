#include "apps/pipeline/sentence.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/text/words.h"
#include "physics_eval/worlds/look.h"

namespace orrery::pipeline {

namespace {

// "pours", "pouring" and "poured" are forms of "pour"; "starts" is none of "star".
bool is_form_of(const std::string& word, const std::string& stem) {
  if (word.rfind(stem, 0) != 0) return false;
  constexpr const char* kEndings[] = {"", "s", "es", "d", "ed", "en", "ing"};
  const std::string ending = word.substr(stem.size());
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](const char* known) { return ending == known; });
}

}  // namespace

Said read_sentence(const std::string& sentence) {
  struct Stem {
    const char *start, *motion;
  };
  constexpr Stem kStems[] = {{"bounc", "bounce"},   {"thr", "throw"},   {"toss", "throw"},     {"fly", "throw"},
                             {"flie", "throw"},     {"roll", "roll"},   {"collid", "collide"}, {"collis", "collide"},
                             {"hit", "collide"},    {"run", "collide"}, {"bump", "collide"},   {"swing", "pendulum"},
                             {"pendul", "pendulum"}};
  constexpr std::pair<const char*, std::int64_t> kCounts[] = {{"two", 2},   {"three", 3}, {"four", 4},
                                                              {"five", 5},  {"six", 6},   {"seven", 7},
                                                              {"eight", 8}, {"nine", 9},  {"ten", 10}};
  // What the other scenes are about: how many bodies those mean cannot be read off.
  constexpr const char* kOthers[] = {"block",  "box",   "domino", "water",  "liquid", "fluid", "spring",
                                     "cradle", "plank", "seesaw", "ramp",   "slope",  "orbit", "planet",
                                     "star",   "wood",  "cork",   "jug",    "dam",    "tower", "stack",
                                     "pour",   "glass", "float",  "incline"};
  Said said;
  bool other = false;
  for (const std::string& spelled : words_of(sentence)) {
    const std::string word = fold_word(spelled);
    for (const char* stem : kOthers) other = other || is_form_of(word, stem);
    for (const worlds::NamedColour& colour : worlds::named_colours())
      if (word == colour.name) said.colours.push_back(word);
    for (const auto& [name, count] : kCounts)
      if (word == name) said.count = count;
    if (word == "left" || word == "leftwards") said.direction = -1;
    if (word == "right" || word == "rightwards") said.direction = 1;
    for (const Stem& stem : kStems)
      if (said.motion.empty() && word.rfind(stem.start, 0) == 0) said.motion = stem.motion;
  }
  if (other) said.motion.clear();
  said.count = std::max(said.count, static_cast<std::int64_t>(said.colours.size()));
  std::sort(said.colours.begin(), said.colours.end());
  return said;
}

}  // namespace orrery::pipeline
