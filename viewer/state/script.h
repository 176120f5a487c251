// A script plays keys and clicks as a person would, and takes screenshots: for tests and for the pictures in docs.
//   {"window": [1280, 800], "steps": [
//     {"click": "prompt"}, {"type": "two balls collide"}, {"key": "Enter"},
//     {"until": {"frame": 24}}, {"drag": "picture", "from": [0.5, 0.5], "to": [0.8, 0.5]},
//     {"frames": 10}, {"screenshot": "pushed.png"}, {"drop": ["a.mp4", "b.mp4"]}, {"hover": "play"}]}
// Places are named as the panels mark them; "from" and "to" are shares of the place. "drop" lets files and folders fall
// on the window, "hover" rests the pointer until a tooltip would show, "describe" writes the JSON file that lies beside
// a screenshot, alone. Conditions of "until": "frame" (the playhead has come so far), "frames" (so many exist),
// "branches", "saved" (videos written), "judged": true, "open": true (the clip can be shown), "inside": true (experts
// and attention of the frame shown are worked out). With "whole": true beside "steps", each screenshot a.png gets a
// twin a-whole.png, drawn as a whole where a.png was drawn where it changed: for tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "viewer/state/session.h"

namespace orrery::viewer {

struct ScriptStep {
  enum class Kind { key, type, click, drag, hover, drop, frames, until, screenshot, describe };
  Kind kind = Kind::frames;
  /// Key, text, place, condition or file name.
  std::string text;
  /// What is dropped.
  std::vector<std::string> files;
  /// Frames to wait, or the number that the condition waits for.
  std::int64_t count = 0;
  double from_u = 0.5, from_v = 0.5, to_u = 0.5, to_v = 0.5;
  KeyPress press;
};

struct Script {
  int width = 0, height = 0;
  std::vector<ScriptStep> steps;
  /// Each screenshot gets a twin that is drawn as a whole.
  bool whole = false;
  bool empty() const { return steps.empty(); }
};

/// Throws InputError naming the step that is wrong.
Script read_script(const std::string& path);
Script parse_script(const std::string& text, const std::string& source);
/// Waits until `frame` is shown, takes one screenshot, ends.
Script screenshot_script(std::int64_t frame, const std::string& file);

/// What a person would do in one drawn frame.
struct ScriptInput {
  std::optional<KeyPress> press;
  std::string text;
  std::vector<std::string> dropped;
  bool pointer = false, down = false;
  float x = 0, y = 0;
  /// To be taken of the frame that is drawn now.
  std::string screenshot, description;
  bool done = false;
};

class ScriptPlayer {
 public:
  explicit ScriptPlayer(Script script) : script_(std::move(script)) {}
  /// Once a drawn frame. `seconds`: real time since the one before. Throws InputError when a place does not exist or a
  /// condition is not met within kPatience.
  ScriptInput next(const Session& session, double seconds);

  static constexpr double kPatience = 180;

 private:
  bool met(const ScriptStep& step, const Session& session) const;
  bool move_pointer(const ScriptStep& step, const Session& session, ScriptInput& input);

  Script script_;
  std::size_t at_ = 0;
  std::int64_t within_ = 0;  // frames within the step
  double waited_ = 0;
  bool pointer_ = false;
  float x_ = 0, y_ = 0;
};

/// What is shown, as a JSON object: playhead, notices, names and places of what was drawn. Lies beside a screenshot.
std::string describe(const Session& session);

}  // namespace orrery::viewer
