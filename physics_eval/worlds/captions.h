// Captions: small grammars with alternatives, so that free wording is covered. A template is text with (a|b|) choices,
// which may nest and be empty, and $slots that the scene fills in. Every caption is lower case.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/worlds/annotations.h"

namespace orrery::worlds {

using Slots = std::map<std::string, std::string>;

/// One wording of `grammar`. Throws Error for a slot that is not filled or unbalanced brackets.
std::string expand(std::string_view grammar, const Slots& slots, Random& random);
/// One of `templates`, expanded.
std::string expand_one(const std::vector<std::string_view>& templates, const Slots& slots, Random& random);
/// Every word that a template can contain outside its slots.
std::vector<std::string> words_of(std::string_view grammar);

/// A thing in words.
struct Subject {
  std::string colour;
  /// −1 small, 0 unremarkable (never named), 1 big.
  int size = 0;
  /// A template of nouns.
  std::string_view noun = "(ball|ball|ball|ball|sphere)";
};

/// A body in words: its size is small or big by its radius as a share of the picture's height, the same in every scene.
Subject subject_of(const BodyInfo& body, double view_height);

/// "red ball", "small red ball".
std::string noun(const Subject& subject, Random& random);
/// "a red ball", "an orange ball", "one big blue ball", "the red ball".
std::string noun_phrase(const Subject& subject, Random& random);
/// "a red ball and a blue ball", "two balls", "two balls, one red and one blue", "a red, a green and a blue ball" …
std::string group_phrase(const std::vector<Subject>& subjects, Random& random);
/// "to the right", "leftwards" …: right when `right`.
std::string direction_phrase(bool right, Random& random);
/// "two", "three" … up to ten.
std::string count_word(int count);
/// The text without alternatives' leftovers: single spaces, none before commas, "an" before vowels.
std::string tidy(std::string text);

/// Every word that any caption of any scene can contain, sorted. What is not in here, the model never saw.
const std::vector<std::string>& caption_words();

}  // namespace orrery::worlds
