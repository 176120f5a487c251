#include "viewer/state/keys.h"

#include <array>

namespace orrery::viewer {

std::span<const Binding> bindings() {
  static constexpr auto kTable = std::to_array<Binding>({
      {{Key::space}, Command::toggle_play, "Space", "Play or pause"},
      {{Key::left}, Command::left, "Left", "Push left; paused: a frame back"},
      {{Key::right}, Command::right, "Right", "Push right; paused: a frame on"},
      {{Key::up}, Command::up, "Up", "Push up"},
      {{Key::down}, Command::down, "Down", "Push down"},
      {{Key::left, true}, Command::left_far, "Shift+Left", "Ten frames back"},
      {{Key::right, true}, Command::right_far, "Shift+Right", "Ten frames on"},
      {{Key::home}, Command::to_start, "Home", "To the first frame"},
      {{Key::end}, Command::to_end, "End", "To the newest frame, and follow it"},
      {{Key::plus}, Command::faster, "+", "Twice as fast"},
      {{Key::minus}, Command::slower, "-", "Half as fast"},
      {{letter('E')}, Command::step, "E", "A frame on"},
      {{Key::enter}, Command::restart, "Enter", "The same world again from its start"},
      {{letter('M')}, Command::person, "M", "Arrows push, or only step frames"},
      {{letter('N')}, Command::branch_here, "N", "Branch here, with prompt and seed above"},
      {{Key::open_bracket}, Command::previous_branch, "[", "The branch before"},
      {{Key::close_bracket}, Command::next_branch, "]", "The next branch"},
      {{letter('1')}, Command::view_picture, "1", "View: the picture"},
      {{letter('2')}, Command::view_other, "2", "View: the truth, or the other clip"},
      {{letter('3')}, Command::view_difference, "3", "View: the difference"},
      {{letter('4')}, Command::view_side_by_side, "4", "View: side by side"},
      {{letter('G')}, Command::toggle_other, "G", "Truth (or the other clip) on and off"},
      {{letter('O')}, Command::toggle_difference, "O", "Difference on and off"},
      {{letter('P')}, Command::judge, "P", "Physics score of what was watched"},
      {{letter('W')}, Command::worst, "W", "To the worst frame"},
      {{letter('T')}, Command::tracks, "T", "Tracks over the picture"},
      {{letter('V')}, Command::velocities, "V", "Velocities and fitted paths"},
      {{letter('H')}, Command::heat_unsure, "H", "Heat map: how unsure the model was"},
      {{letter('X')}, Command::heat_experts, "X", "Heat map: which expert took each token"},
      {{letter('A')}, Command::heat_attention, "A", "Heat map: where the model looked for the marked cell"},
      {{letter('R')}, Command::record, "R", "Record what is shown to MP4: start, stop"},
      {{letter('E'), false, true}, Command::save_clip, "Ctrl+E", "Save the whole clip as MP4"},
      {{letter('S')}, Command::screenshot, "S", "Screenshot of the window to PNG"},
      {{letter('O'), false, true}, Command::open, "Ctrl+O", "Open a video"},
      {{letter('O'), true, true}, Command::open_beside, "Ctrl+Shift+O", "Open a second video to compare with"},
      {{letter('C')}, Command::sheet, "C", "Contact sheet of the clip's folder, and back"},
      {{Key::page_up}, Command::previous_clip, "PageUp", "The clip before in the folder"},
      {{Key::page_down}, Command::next_clip, "PageDown", "The next clip in the folder"},
      {{letter('Z')}, Command::zoom, "Z", "Zoom: fit, or whole pixels (wheel: closer)"},
      {{Key::tab}, Command::panel, "Tab", "Side panel on and off"},
      {{Key::f1}, Command::help, "F1", "This help"},
      {{Key::f2}, Command::info, "F2", "What this clip is"},
      {{Key::f3}, Command::profiler, "F3", "Times: drawing, generation"},
      {{Key::f4}, Command::theme, "F4", "Dark or light"},
      {{Key::f5}, Command::full_screen, "F5", "Full screen"},
      {{Key::escape}, Command::close_popup, "Esc", "Close what is open over the picture"},
      {{letter('Q'), false, true}, Command::quit, "Ctrl+Q", "Quit"},
  });
  return kTable;
}

std::optional<Command> command_of(const KeyPress& press) {
  for (const Binding& binding : bindings())
    if (binding.press == press) return binding.command;
  // The keys of the number block and of other layouts come with or without shift.
  if (press.shift && (press.key == Key::plus || press.key == Key::minus)) return command_of({press.key, false, false});
  return std::nullopt;
}

const char* keys_of(Command command) {
  for (const Binding& binding : bindings())
    if (binding.command == command) return binding.keys;
  return "";
}

}  // namespace orrery::viewer
