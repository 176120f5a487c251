#include "viewer/panels/parts.h"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace orrery::viewer::parts {

namespace {

void draw_icon(ImDrawList& list, Icon icon, ImVec2 centre, float r, ImU32 colour) {
  const auto at = [&](float x, float y) { return ImVec2(centre.x + x * r, centre.y + y * r); };
  const auto triangle = [&](float x, float way) {
    list.AddTriangleFilled(at(x - 0.5f * way, -0.8f), at(x - 0.5f * way, 0.8f), at(x + 0.7f * way, 0), colour);
  };
  switch (icon) {
    case Icon::play:
      return triangle(0, 1.2f);
    case Icon::pause:
      list.AddRectFilled(at(-0.7f, -0.8f), at(-0.2f, 0.8f), colour);
      return list.AddRectFilled(at(0.2f, -0.8f), at(0.7f, 0.8f), colour);
    case Icon::to_start:
      list.AddRectFilled(at(-0.9f, -0.8f), at(-0.65f, 0.8f), colour);
      return triangle(0.2f, -1);
    case Icon::to_end:
      list.AddRectFilled(at(0.65f, -0.8f), at(0.9f, 0.8f), colour);
      return triangle(-0.2f, 1);
    case Icon::back:
      return triangle(0, -0.8f);
    case Icon::on:
      return triangle(0, 0.8f);
    case Icon::record:
      return list.AddCircleFilled(centre, r * 0.75f, colour, 24);
    case Icon::stop:
      return list.AddRectFilled(at(-0.7f, -0.7f), at(0.7f, 0.7f), colour);
    case Icon::camera:
      list.AddRect(at(-0.95f, -0.6f), at(0.95f, 0.7f), colour, r * 0.2f, 0, r * 0.17f);
      list.AddRectFilled(at(-0.35f, -0.85f), at(0.35f, -0.6f), colour);
      return list.AddCircle(at(0, 0.05f), r * 0.35f, colour, 16, r * 0.17f);
    case Icon::folder:
      list.AddRectFilled(at(-0.9f, -0.7f), at(-0.1f, -0.3f), colour, r * 0.15f);
      return list.AddRectFilled(at(-0.9f, -0.45f), at(0.9f, 0.7f), colour, r * 0.15f);
    case Icon::branch:
      list.AddLine(at(-0.5f, 0.8f), at(-0.5f, -0.8f), colour, r * 0.2f);
      list.AddLine(at(-0.5f, 0.3f), at(0.5f, -0.5f), colour, r * 0.2f);
      list.AddCircleFilled(at(-0.5f, -0.75f), r * 0.25f, colour);
      list.AddCircleFilled(at(-0.5f, 0.75f), r * 0.25f, colour);
      return list.AddCircleFilled(at(0.55f, -0.55f), r * 0.25f, colour);
    case Icon::save:
      list.AddLine(at(0, -0.9f), at(0, 0.25f), colour, r * 0.25f);
      list.AddTriangleFilled(at(-0.5f, 0), at(0.5f, 0), at(0, 0.55f), colour);
      return list.AddLine(at(-0.8f, 0.8f), at(0.8f, 0.8f), colour, r * 0.25f);
  }
}

std::string tooltip_shown;  // one window, one thread

bool is_dark() { return ImGui::GetStyle().Colors[ImGuiCol_WindowBg].x < 0.5f; }

}  // namespace

std::uint32_t packed(std::uint32_t rgb, float alpha) {
  const auto a = static_cast<std::uint32_t>(std::lround(std::clamp(alpha, 0.0f, 1.0f) * 255.0f));
  return (a << 24) | ((rgb & 0xFF) << 16) | (rgb & 0xFF00) | (rgb >> 16);
}

std::uint32_t tone(bool dark, Tone which, float alpha) {
  struct Pair {
    std::uint32_t dark, light;
  };
  static constexpr std::array<Pair, 10> kTones = {{{0xE8EBF0, 0x1B1F26},
                                                   {0x96A0B0, 0x5D6675},
                                                   {0x56B4E9, 0x0072B2},
                                                   {0xE69F00, 0xB35900},
                                                   {0x2FC79A, 0x00795A},
                                                   {0xFF8066, 0xB3261E},
                                                   {0x1D2128, 0xF4F5F7},
                                                   {0x121419, 0xDDE0E5},
                                                   {0x343B46, 0xC3C8D0},
                                                   {0x15181E, 0xE6E8EC}}};
  const Pair& pair = kTones[static_cast<std::size_t>(which)];
  return packed(dark ? pair.dark : pair.light, alpha);
}

std::uint32_t palette(int index, float alpha) {
  static constexpr std::array<std::uint32_t, 8> kColours = {0x56B4E9, 0xE69F00, 0x2FC79A, 0xF0E442,
                                                            0xCC79A7, 0xD55E00, 0x0072B2, 0x9AA0A6};
  return packed(kColours[static_cast<std::size_t>(index) % kColours.size()], alpha);
}

void mark(Session& session, const std::string& name) {
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  session.shown.places[name] = {low.x, low.y, high.x - low.x, high.y - low.y};
}

void tooltip(const std::string& text, const char* keys) {
  if (text.empty() || !ImGui::IsItemHovered()) return;
  tooltip_shown = text;
  const float pad = ImGui::GetFontSize() * 0.5f;  // the stage has none
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(pad, pad * 0.7f));
  ImGui::BeginTooltip();
  ImGui::PopStyleVar();
  ImGui::PushTextWrapPos(ImGui::GetFontSize() * 24);
  ImGui::TextUnformatted(text.c_str());
  if (*keys != '\0') ImGui::TextDisabled("%s", keys);
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

std::string take_tooltip() { return std::exchange(tooltip_shown, {}); }

bool icon_button(Session& session, const char* name, Icon icon, bool lit, const std::string& help, Command command) {
  const float side = ImGui::GetFrameHeight() * 1.15f;
  ImGui::PushID(name);
  const bool pressed = ImGui::Button("##icon", ImVec2(side, side));
  ImGui::PopID();
  mark(session, name);
  const ImVec2 low = ImGui::GetItemRectMin();
  const Tone colour = !lit ? Tone::text : icon == Icon::record || icon == Icon::stop ? Tone::bad : Tone::accent;
  draw_icon(*ImGui::GetWindowDrawList(), icon, ImVec2(low.x + side / 2, low.y + side / 2), side * 0.27f,
            tone(is_dark(), colour));
  tooltip(help, keys_of(command));
  return pressed;
}

bool choice(Session& session, const char* label, const char* name, bool on, const std::string& help, const char* keys) {
  if (on) ImGui::PushStyleColor(ImGuiCol_Button, tone(is_dark(), Tone::accent, 0.45f));
  ImGui::PushID(name);
  const bool pressed = ImGui::Button(label);
  ImGui::PopID();
  if (on) ImGui::PopStyleColor();
  mark(session, name);
  tooltip(help, keys);
  return pressed;
}

bool button(Session& session, const char* label, const char* name, const std::string& help, const char* keys,
            bool strong) {
  return choice(session, label, name, strong, help, keys);
}

void wrapped(const Session& session, Tone which, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, tone(session.shown.dark, which));
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

void fact(bool dark, const std::string& name, const std::string& value) {
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  ImGui::PushStyleColor(ImGuiCol_Text, tone(dark, Tone::faint));
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(name.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
  ImGui::TableNextColumn();
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(value.c_str());
  ImGui::PopTextWrapPos();
}

void chip(float x, float y, const std::string& text, std::uint32_t colour) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  const float pad = ImGui::GetFontSize() * 0.35f;
  list.AddRectFilled(ImVec2(x, y), ImVec2(x + size.x + 2 * pad, y + size.y + pad), packed(0x000000, 0.62f), pad);
  list.AddText(ImVec2(x + pad, y + pad / 2), colour, text.c_str());
}

std::string clock(double seconds) {
  char text[32];
  const int minutes = static_cast<int>(seconds / 60);
  std::snprintf(text, sizeof text, "%d:%04.1f", minutes, std::floor((seconds - 60.0 * minutes) * 10 + 1e-6) / 10);
  return text;
}

}  // namespace orrery::viewer::parts

namespace orrery::viewer {

void set_style(bool dark, float scale) {
  using parts::Tone;
  ImGuiStyle style;
  if (dark) {
    ImGui::StyleColorsDark(&style);
  } else {
    ImGui::StyleColorsLight(&style);
  }
  style.WindowRounding = 0, style.FrameRounding = 5, style.GrabRounding = 5, style.PopupRounding = 6;
  style.ScrollbarRounding = 6, style.ScrollbarSize = 11, style.TabRounding = 5, style.ChildRounding = 5;
  style.WindowBorderSize = 0, style.FramePadding = ImVec2(9, 5), style.ItemSpacing = ImVec2(8, 7);
  style.WindowPadding = ImVec2(12, 10), style.CellPadding = ImVec2(4, 3);
  const auto set = [&](ImGuiCol which, Tone tone, float alpha = 1) {
    style.Colors[which] = ImGui::ColorConvertU32ToFloat4(parts::tone(dark, tone, alpha));
  };
  set(ImGuiCol_Text, Tone::text);
  set(ImGuiCol_TextDisabled, Tone::faint);
  set(ImGuiCol_WindowBg, Tone::panel);
  set(ImGuiCol_PopupBg, Tone::panel, 0.98f);
  set(ImGuiCol_Border, Tone::line);
  set(ImGuiCol_FrameBg, Tone::sunk);
  set(ImGuiCol_FrameBgHovered, Tone::line, 0.6f);
  set(ImGuiCol_FrameBgActive, Tone::line);
  set(ImGuiCol_Button, Tone::line, 0.75f);
  set(ImGuiCol_ButtonHovered, Tone::accent, 0.35f);
  set(ImGuiCol_ButtonActive, Tone::accent, 0.6f);
  set(ImGuiCol_Header, Tone::accent, 0.3f);
  set(ImGuiCol_HeaderHovered, Tone::accent, 0.4f);
  set(ImGuiCol_HeaderActive, Tone::accent, 0.55f);
  set(ImGuiCol_CheckMark, Tone::accent);
  set(ImGuiCol_SliderGrab, Tone::accent, 0.8f);
  set(ImGuiCol_SliderGrabActive, Tone::accent);
  set(ImGuiCol_Tab, Tone::line, 0.4f);
  set(ImGuiCol_TabHovered, Tone::accent, 0.5f);
  set(ImGuiCol_TabActive, Tone::accent, 0.4f);
  set(ImGuiCol_Separator, Tone::line);
  set(ImGuiCol_TitleBg, Tone::sunk);
  set(ImGuiCol_TitleBgActive, Tone::sunk);
  set(ImGuiCol_TableHeaderBg, Tone::sunk);
  set(ImGuiCol_TableBorderLight, Tone::line, 0.5f);
  style.ScaleAllSizes(scale);
  ImGui::GetStyle() = style;
}

}  // namespace orrery::viewer
