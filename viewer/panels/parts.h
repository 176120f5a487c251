// Small parts that all panels are made of. Private to viewer/panels; everything is between NewFrame() and Render().
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "viewer/state/session.h"

namespace orrery::viewer::parts {

enum class Tone { text, faint, accent, warm, good, bad, panel, stage, line, sunk };
/// A colour of the theme as Dear ImGui packs it.
std::uint32_t tone(bool dark, Tone tone, float alpha = 1);
/// Colours of curves and tracks that colour-blind eyes tell apart (Okabe and Ito 2008).
std::uint32_t palette(int index, float alpha = 1);
/// 0xRRGGBB as Dear ImGui packs it.
std::uint32_t packed(std::uint32_t rgb, float alpha = 1);

enum class Icon { play, pause, to_start, to_end, back, on, record, stop, camera, folder, branch, save };

/// The last item's place under a name, for scripts.
void mark(Session& session, const std::string& name);
/// Under the pointer, the last item shows `text`, and the command's key when it has one.
void tooltip(const std::string& text, const char* keys = "");
/// The text that tooltip() showed since the last call; empty when it showed none.
std::string take_tooltip();
/// A square button with a drawn icon; `lit`: in the accent's colour.
bool icon_button(Session& session, const char* name, Icon icon, bool lit, const std::string& help, Command command);
/// A button of a group of which one is on.
bool choice(Session& session, const char* label, const char* name, bool on, const std::string& help,
            const char* keys = "");
/// A button with words.
bool button(Session& session, const char* label, const char* name, const std::string& help, const char* keys = "",
            bool strong = false);
/// Words over as many lines as they need.
void wrapped(const Session& session, Tone tone, const std::string& text);
/// A line of a two-column list.
void fact(bool dark, const std::string& name, const std::string& value);
/// Words over a picture, on a dark chip, their top left corner at (x, y) in the window.
void chip(float x, float y, const std::string& text, std::uint32_t colour);
/// A texture's number as Dear ImGui wants it (a pointer in some versions, a number in others).
template <class Id>
Id to_id(std::uintptr_t texture) {
  if constexpr (std::is_pointer_v<Id>) {
    return reinterpret_cast<Id>(texture);
  } else {
    return static_cast<Id>(texture);
  }
}
/// "1:02.5".
std::string clock(double seconds);

}  // namespace orrery::viewer::parts
