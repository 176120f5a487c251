#include "physics_eval/worlds/from_caption.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/worlds/captions.h"

namespace orrery::worlds {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "bouncing", "bounces", "bounced" and "bounce" are one word here.
std::string stem(std::string word) {
  for (const std::string_view ending : {"'s", "ing", "ed", "es", "s", "e"}) {
    if (word.size() > ending.size() + 2 && word.compare(word.size() - ending.size(), ending.size(), ending) == 0) {
      word.resize(word.size() - ending.size());
      break;
    }
  }
  if (word.size() > 3 && word.back() == word[word.size() - 2] && word.back() != 'l') word.pop_back();
  if (word.size() > 3 && word.back() == 'e') word.pop_back();
  return word;
}

// How telling each stem is: 1 over the number of scenes that use it.
std::string best_scene(const std::vector<std::string>& words) {
  std::map<std::string, std::set<std::string>> users;
  for (const SceneInfo& scene : scene_registry()) {
    for (const std::string_view grammar : scene.grammar) {
      for (const std::string& word : words_of(grammar)) users[stem(word)].insert(std::string(scene.name));
    }
    users[stem(std::string(scene.name))].insert(std::string(scene.name));
  }
  std::set<std::string> given;
  for (const std::string& word : words) given.insert(stem(word));
  double best = 0;
  std::string name;
  for (const SceneInfo& scene : scene_registry()) {
    if (scene.weight <= 0) continue;
    double score = 0;
    for (const std::string& word : given) {
      const auto found = users.find(word);
      if (word.size() > 3 && found != users.end() && found->second.count(std::string(scene.name)) != 0)
        score += 1.0 / static_cast<double>(found->second.size());
    }
    if (score > best + 1e-12) best = score, name = scene.name;
  }
  return name;
}

struct Wanted {
  int size = 0, direction = 0, count = 0;
};

bool fits(const World& world, const Wanted& wanted) {
  const auto& bodies = world.scene().bodies();
  const auto count = static_cast<int>(bodies.size());
  // Blocks are counted without the ball that hits them.
  if (wanted.count > 0 && count != wanted.count && !(world.spec().scene == "stack" && count == wanted.count + 1))
    return false;
  if (bodies.empty()) return true;
  if (wanted.size != 0 && subject_of(bodies[0], world.scene().view_height()).size != wanted.size) return false;
  if (wanted.direction == 0) return true;
  WorldSpec spec = world.spec();
  spec.corruption.reset();
  World ahead(spec);
  const double start = ahead.truth().bodies[0].position.x;
  while (ahead.truth().t < 0.3) ahead.step();
  return (ahead.truth().bodies[0].position.x - start) * wanted.direction > 0.02 * world.scene().view_height();
}

}  // namespace

void set_from_caption(WorldSpec& spec, std::string_view text) {
  const auto words = words_of(lower(text));
  const auto says = [&](std::initializer_list<std::string_view> any) {
    return std::any_of(any.begin(), any.end(), [&](std::string_view word) {
      return std::find(words.begin(), words.end(), word) != words.end();
    });
  };
  spec.scene = best_scene(words);
  ORRERY_CHECK(!spec.scene.empty(), "[worlds] nothing in '", std::string(text),
               "' fits a scene; `orrery simulate --list` shows them");
  for (const std::string& word : words) {
    for (const NamedColour& row : named_colours()) {
      if (word == row.name && std::find(spec.colours.begin(), spec.colours.end(), word) == spec.colours.end())
        spec.colours.push_back(word);
    }
  }
  Wanted wanted;
  wanted.size = says({"small", "little", "tiny"}) ? -1 : (says({"big", "large", "huge"}) ? 1 : 0);
  wanted.direction = says({"left", "leftwards"}) ? -1 : (says({"right", "rightwards"}) ? 1 : 0);
  for (int count = 2; count <= 10; ++count) {
    if (says({count_word(count)})) wanted.count = count;
  }
  if (wanted.count == 0 && spec.colours.size() > 1) wanted.count = static_cast<int>(spec.colours.size());
  if (wanted.count == 0 && spec.scene == "bounce") wanted.count = 1;
  if (spec.scene == "dominoes" || spec.scene == "cradle") wanted.size = 0;
  const std::uint64_t first = spec.seed;
  for (std::uint64_t attempt = 0; attempt < 2000; ++attempt) {
    spec.seed = attempt == 0 ? first : Random(first, name_hash("wanted")).fork(attempt).next_u64() >> 11;
    if (fits(World(spec), wanted)) return;
  }
  throw InputError("[worlds] scene " + spec.scene + " cannot show '" + std::string(text) + "'");
}

}  // namespace orrery::worlds
