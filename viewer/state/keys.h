// The keyboard: one table that the window obeys and F1 shows.
#pragma once

#include <optional>
#include <span>

namespace orrery::viewer {

/// Letters and digits are their capital ASCII codes.
enum class Key : int {
  none = 0,
  space = ' ',
  minus = '-',
  plus = '+',
  open_bracket = '[',
  close_bracket = ']',
  left = 256,
  right,
  up,
  down,
  home,
  end,
  enter,
  escape,
  tab,
  f1,
  f2,
  f3,
  f4,
  f5,
  page_up,
  page_down,
};
constexpr Key letter(char c) { return static_cast<Key>(c); }

struct KeyPress {
  Key key = Key::none;
  bool shift = false, ctrl = false;
  bool operator==(const KeyPress&) const = default;
};

enum class Command {
  toggle_play,
  left,
  right,
  up,
  down,
  left_far,
  right_far,
  to_start,
  to_end,
  faster,
  slower,
  step,
  restart,
  person,
  previous_branch,
  next_branch,
  branch_here,
  view_picture,
  view_other,
  view_difference,
  view_side_by_side,
  toggle_other,
  toggle_difference,
  tracks,
  velocities,
  heat_unsure,
  heat_experts,
  heat_attention,
  judge,
  worst,
  record,
  save_clip,
  screenshot,
  open,
  open_beside,
  sheet,
  previous_clip,
  next_clip,
  zoom,
  panel,
  help,
  info,
  profiler,
  theme,
  full_screen,
  close_popup,
  quit,
};

struct Binding {
  KeyPress press;
  Command command;
  /// As help shows it: "Shift+Left".
  const char* keys;
  const char* what;
};

/// All of them, in the order in which help shows them.
std::span<const Binding> bindings();
std::optional<Command> command_of(const KeyPress& press);
/// The keys of a command for tooltips, e.g. "Space"; empty for none.
const char* keys_of(Command command);

}  // namespace orrery::viewer
