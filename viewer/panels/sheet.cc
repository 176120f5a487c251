// The contact sheet: a folder's clips as small pictures; a click opens one.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

namespace {

using parts::Tone;

// Textures of the sheet: those in sight have a slot each.
constexpr int kFirstSlot = 64, kSlots = 1024;

std::string cut(const std::string& text, float width) {
  if (ImGui::CalcTextSize(text.c_str()).x <= width) return text;
  std::string shorter = text;
  while (!shorter.empty() && ImGui::CalcTextSize((shorter + "...").c_str()).x > width) {
    do shorter.pop_back();
    while (!shorter.empty() && (static_cast<unsigned char>(shorter.back()) & 0xC0) == 0x80);
  }
  return shorter + "...";
}

void draw_score(float x, float y, double score, bool dark) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", score);
  const float width = ImGui::CalcTextSize(text).x + ImGui::GetFontSize() * 0.7f;
  parts::chip(x - width, y, text, parts::tone(dark, score < 0.5 ? Tone::bad : Tone::good));
}

void draw_clip(Session& session, TextureSource& textures, std::size_t index, const Rect& cell, float scale) {
  const Sheet& sheet = *session.sheet();
  const SheetClip& clip = (*sheet.clips())[index];
  const bool dark = session.shown.dark, open = !clip.path.empty() && clip.path == session.open_path();
  const float size = ImGui::GetFontSize(), small = size * 0.85f;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  ImGui::SetCursorScreenPos(ImVec2(cell.x, cell.y));
  ImGui::PushID(static_cast<int>(index));
  const bool clicked = ImGui::InvisibleButton("##clip", ImVec2(cell.width, cell.height));
  ImGui::PopID();
  parts::mark(session, "clip " + std::to_string(index + 1));
  const bool hovered = ImGui::IsItemHovered();
  const std::string trouble = sheet.trouble(index);
  std::string help = clip.words.empty() ? clip.name : clip.name + ": " + clip.words;
  if (!trouble.empty()) help += "\n" + trouble;
  parts::tooltip(help);
  const float side = cell.width;
  list.AddRectFilled(ImVec2(cell.x, cell.y), ImVec2(cell.x + side, cell.y + side), parts::tone(dark, Tone::sunk), 4);
  if (const Picture picture = sheet.picture(index)) {
    const auto width = static_cast<float>(picture->width()), height = static_cast<float>(picture->height());
    const float zoom = side / std::max(width, height), w = width * zoom, h = height * zoom;
    const float x = cell.x + (side - w) / 2, y = cell.y + (side - h) / 2;
    const int slot = kFirstSlot + static_cast<int>(index % kSlots);
    list.AddImage(parts::to_id<ImTextureID>(textures.texture(slot, picture, true)), ImVec2(x, y), ImVec2(x + w, y + h));
  } else {
    const std::string text = trouble.empty() ? "..." : trouble;
    list.AddText(ImGui::GetFont(), small, ImVec2(cell.x + 8 * scale, cell.y + 8 * scale),
                 parts::tone(dark, trouble.empty() ? Tone::faint : Tone::bad), text.c_str(), nullptr,
                 side - 16 * scale);
  }
  if (hovered || open)
    list.AddRect(ImVec2(cell.x, cell.y), ImVec2(cell.x + side, cell.y + side), parts::tone(dark, Tone::accent), 4, 0,
                 (open ? 3 : 2) * scale);
  if (clip.score) draw_score(cell.x + side - 3 * scale, cell.y + 3 * scale, *clip.score, dark);
  const std::string& label = clip.words.empty() ? clip.name : clip.words;
  list.AddText(ImGui::GetFont(), small, ImVec2(cell.x, cell.y + side + 2 * scale), parts::tone(dark, Tone::faint),
               cut(label, side / 0.85f).c_str());
  if (clicked && !clip.path.empty()) session.open_clip(index);
}

std::string heading(const std::vector<SheetClip>& clips, const std::string& folder) {
  const auto failed =
      std::count_if(clips.begin(), clips.end(), [](const SheetClip& clip) { return clip.path.empty(); });
  std::string text = folder + ": " + std::to_string(clips.size() - static_cast<std::size_t>(failed)) + " clips";
  if (failed > 0) text += ", " + std::to_string(failed) + " failed";
  return text;
}

}  // namespace

void draw_sheet(Session& session, TextureSource& textures, const Rect& room, float scale) {
  Sheet& sheet = *session.sheet();
  const bool dark = session.shown.dark;
  const float size = ImGui::GetFontSize(), gap = 10 * scale;
  ImGui::SetCursorScreenPos(ImVec2(room.x, room.y));
  ImGui::BeginChild("sheet", ImVec2(room.width, room.height));
  const auto clips = sheet.clips();
  if (clips == nullptr) {
    const std::string error = sheet.error();
    ImGui::PushTextWrapPos(0);
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(parts::tone(dark, error.empty() ? Tone::faint : Tone::bad)), "%s",
                       error.empty() ? "Reading the folder..." : error.c_str());
    ImGui::PopTextWrapPos();
    return ImGui::EndChild();
  }
  ImGui::TextDisabled("%s", cut(heading(*clips, sheet.folder()), ImGui::GetContentRegionAvail().x).c_str());
  const ImVec2 begin = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  const auto columns = static_cast<std::size_t>(std::max(1.0f, std::floor((width + gap) / (150 * scale + gap))));
  const float side = (width - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns);
  const float step = side + size * 0.85f + gap;
  const std::size_t rows = (clips->size() + columns - 1) / columns;
  // Only what is in sight is drawn and read.
  const float top = std::max(0.0f, room.y - begin.y), bottom = room.y + room.height - begin.y;
  const auto first_row = static_cast<std::size_t>(top / step);
  const auto last_row = std::min(rows, static_cast<std::size_t>(std::max(0.0f, bottom / step)) + 1);
  sheet.attend(std::min(first_row * columns, clips->size()), std::min(last_row * columns, clips->size()));
  for (std::size_t i = first_row * columns; i < std::min(last_row * columns, clips->size()); ++i) {
    const auto column = static_cast<float>(i % columns), row = static_cast<float>(i / columns);
    draw_clip(session, textures, i, {begin.x + column * (side + gap), begin.y + row * step, side, step - gap / 2},
              scale);
  }
  ImGui::SetCursorScreenPos(begin);
  ImGui::Dummy(ImVec2(width, static_cast<float>(rows) * step));
  session.shown.places["sheet"] = room;
  ImGui::EndChild();
}

}  // namespace orrery::viewer::panels
