#include "physics_eval/worlds/actions.h"

#include <array>
#include <cstdlib>

#include "core/base/error.h"

namespace orrery::worlds {
namespace {

struct PushRow {
  Push push;
  const char* name;
  Vec2 direction;
};
constexpr std::array<PushRow, 5> kPushes = {{{Push::none, "none", {0, 0}},
                                             {Push::left, "push-left", {-1, 0}},
                                             {Push::right, "push-right", {1, 0}},
                                             {Push::up, "push-up", {0, 1}},
                                             {Push::down, "push-down", {0, -1}}}};

double number(const std::string& text, const std::string& whole) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  ORRERY_CHECK(!text.empty() && *end == '\0', "[actions] '", whole, "': '", text,
               "' is not a number, expected e.g. 24:push-right@0.5,0.7");
  return value;
}

TimedAction parse_one(const std::string& text) {
  const auto colon = text.find(':'), at = text.find('@'), comma = text.find(',');
  ORRERY_CHECK(
      colon != std::string::npos && at != std::string::npos && comma != std::string::npos && colon < at && at < comma,
      "[actions] found '", text, "', expected FRAME:push-DIRECTION@U,V, e.g. 24:push-right@0.5,0.7");
  TimedAction timed;
  const double frame = number(text.substr(0, colon), text);
  ORRERY_CHECK(frame >= 1 && frame < 1e9 && frame == static_cast<int>(frame), "[actions] '", text, "': the frame is ",
               frame, ", expected a whole number from 1");
  timed.frame = static_cast<int>(frame);
  const std::string name = text.substr(colon + 1, at - colon - 1);
  bool known = false;
  for (const PushRow& row : kPushes) {
    if (name == row.name) timed.action.push = row.push, known = true;
  }
  ORRERY_CHECK(known, "[actions] '", text, "': unknown action '", name,
               "', expected push-left, push-right, push-up, push-down or none");
  timed.action.u = number(text.substr(at + 1, comma - at - 1), text);
  timed.action.v = number(text.substr(comma + 1), text);
  ORRERY_CHECK(timed.action.u >= 0 && timed.action.u <= 1 && timed.action.v >= 0 && timed.action.v <= 1, "[actions] '",
               text, "': the place is ", timed.action.u, ",", timed.action.v,
               ", expected shares of the picture in 0…1");
  return timed;
}

}  // namespace

Vec2 push_direction(Push push) { return kPushes[static_cast<std::size_t>(push)].direction; }
const char* push_name(Push push) { return kPushes[static_cast<std::size_t>(push)].name; }

std::vector<TimedAction> parse_actions(std::string_view text) {
  std::vector<TimedAction> actions;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != ';' && text[i] != ' ') {
      word += text[i];
    } else if (!word.empty()) {
      actions.push_back(parse_one(word));
      word.clear();
    }
  }
  return actions;
}

}  // namespace orrery::worlds
