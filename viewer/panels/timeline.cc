// Transport and timeline: a strip with the physics score of each frame, under it a lane a branch with what was pushed.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"
#include "viewer/state/difference.h"

namespace orrery::viewer::panels {

namespace {

using parts::Icon;
using parts::Tone;

struct Axis {
  float x = 0, width = 1;
  double first = 0, frames = 1;
  float at(double frame) const { return x + static_cast<float>((frame - first) / frames) * width; }
  double frame(float place) const { return first + static_cast<double>((place - x) / width) * frames; }
};

void draw_transport(Session& session, float scale) {
  Playhead& playhead = session.playhead();
  const auto same_line = [scale] { ImGui::SameLine(0, 4 * scale); };
  if (parts::icon_button(session, "to start", Icon::to_start, false, "To the first frame", Command::to_start))
    session.run(Command::to_start);
  same_line();
  if (parts::icon_button(session, "back", Icon::back, false, "A frame back", Command::left)) playhead.step(-1);
  same_line();
  if (parts::icon_button(session, "play", playhead.playing() ? Icon::pause : Icon::play, true, "Play or pause",
                         Command::toggle_play))
    session.run(Command::toggle_play);
  same_line();
  if (parts::icon_button(session, "on", Icon::on, false, "A frame on", Command::step)) session.run(Command::step);
  same_line();
  if (parts::icon_button(session, "to end", Icon::to_end, false, "To the newest frame", Command::to_end))
    session.run(Command::to_end);
  ImGui::SameLine(0, 14 * scale);
  const ReelInfo info = session.info();
  char text[96];
  const std::string now = parts::clock(playhead.seconds());
  const auto frame = static_cast<long long>(playhead.frame() + 1);
  if (info.growing) {
    std::snprintf(text, sizeof text, "%s   frame %lld", now.c_str(), frame);
  } else {
    std::snprintf(text, sizeof text, "%s / %s   frame %lld of %lld", now.c_str(),
                  parts::clock(static_cast<double>(info.frames) / info.fps).c_str(), frame,
                  static_cast<long long>(info.frames));
  }
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted(session.watching() ? text : "nothing open");
  parts::mark(session, "time");
  ImGui::SameLine(0, 14 * scale);
  char speed[24];
  std::snprintf(speed, sizeof speed, "%gx", playhead.speed());
  if (parts::button(session, speed, "speed", "Playing speed; click for the normal one", "+  -")) playhead.set_speed(1);
}

void draw_views(Session& session, float scale) {
  struct Row {
    View view;
    const char* label;
    const char* help;
    const char* keys;
  };
  std::string other = session.has_other() ? session.other_name() : "Truth";
  if (other == "truth") other = "Truth";
  const std::string short_name = other.size() > 14 ? other.substr(0, 12) + "..." : other;
  const Row rows[] = {{View::picture, "Picture", "The clip itself", "1"},
                      {View::other, short_name.c_str(), "The truth from the engine, the other clip or branch", "2, G"},
                      {View::difference, "Difference", "Where and how much the two differ", "3, O"},
                      {View::side_by_side, "Side by side", "Both beside each other", "4"}};
  for (const Row& row : rows) {
    ImGui::SameLine(0, row.view == View::picture ? 18 * scale : 2 * scale);
    const bool on = session.view() == row.view;
    if (!session.has_other() && row.view != View::picture) ImGui::PushStyleVar(ImGuiStyleVar_Alpha, 0.45f);
    if (parts::choice(session, row.label, (std::string("view ") + row.keys[0]).c_str(), on, row.help, row.keys))
      session.set_view(row.view);
    if (!session.has_other() && row.view != View::picture) ImGui::PopStyleVar();
  }
}

void draw_file_buttons(Session& session, float scale) {
  const float side = ImGui::GetFrameHeight() * 1.15f, gap = 4 * scale;
  float width = 4 * side + 3 * gap;
  std::string note;
  if (session.recording()) {
    note = "recording " + std::to_string(session.recorded_frames());
  } else if (session.saving() != nullptr) {
    note = "saving " + std::to_string(session.saving()->frames());
  }
  if (!note.empty()) width += ImGui::CalcTextSize(note.c_str()).x + 2 * gap;
  ImGui::SameLine(std::max(ImGui::GetCursorPosX(), ImGui::GetWindowWidth() - width - 12 * scale));
  if (!note.empty()) {
    ImGui::AlignTextToFramePadding();
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(parts::tone(session.shown.dark, Tone::bad)), "%s", note.c_str());
    ImGui::SameLine(0, 2 * gap);
  }
  if (parts::icon_button(session, "branch", Icon::branch, false,
                         "Branch here: go on from this frame with the prompt and seed above", Command::branch_here))
    session.run(Command::branch_here);
  ImGui::SameLine(0, gap);
  if (parts::icon_button(
          session, "record", session.recording() ? Icon::stop : Icon::record, true,
          session.recording() ? "Stop recording: the file is ready at once" : "Record what the view shows to MP4",
          Command::record))
    session.run(Command::record);
  ImGui::SameLine(0, gap);
  if (parts::icon_button(session, "save", Icon::save, false, "Save the whole clip as MP4", Command::save_clip))
    session.run(Command::save_clip);
  ImGui::SameLine(0, gap);
  if (parts::icon_button(session, "screenshot", Icon::camera, false, "Picture of the window to PNG",
                         Command::screenshot))
    session.run(Command::screenshot);
}

// A colour a column: the lowest score within it.
void draw_scores(Session& session, const Axis& axis, float y, float height) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const bool dark = session.shown.dark;
  list.AddRectFilled(ImVec2(axis.x, y), ImVec2(axis.x + axis.width, y + height), parts::tone(dark, Tone::sunk), 2);
  const auto found = session.judgement();
  if (!found) return;
  const float step = 3;
  for (float x = axis.x; x < axis.x + axis.width; x += step) {
    const auto from = static_cast<std::int64_t>(axis.frame(x));
    const auto to = std::max(from + 1, static_cast<std::int64_t>(axis.frame(x + step)));
    double lowest = 2;
    for (std::int64_t frame = from; frame < to; ++frame) {
      const double score = found->at(frame);
      if (!std::isnan(score)) lowest = std::min(lowest, score);
    }
    if (lowest > 1) continue;
    // Full height and bright where a law is broken: shape and colour both say it.
    const float tall = height * static_cast<float>(0.25 + 0.75 * (1 - lowest));
    const std::uint32_t colour =
        lowest < 0.5 ? parts::packed(0xFEE838) : parts::packed(heat(0.15 + 0.6 * (1 - lowest)));
    list.AddRectFilled(ImVec2(x, y + height - tall), ImVec2(x + step - 0.5f, y + height), colour);
  }
}

double nice_step(double seconds) {
  for (const double step : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0})
    if (step >= seconds) return step;
  return 3600;
}

void draw_ruler(const Session& session, const Axis& axis, float y, float scale) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const double fps = session.info().fps, seconds = axis.frames / fps;
  const double step = nice_step(seconds * 90.0 * static_cast<double>(scale) / static_cast<double>(axis.width));
  const float size = ImGui::GetFontSize() * 0.8f;
  for (double t = std::ceil(axis.first / fps / step) * step; t <= (axis.first + axis.frames) / fps; t += step) {
    const float x = axis.at(t * fps);
    if (x > axis.x + axis.width - 30 * scale) break;
    list.AddLine(ImVec2(x, y), ImVec2(x, y + 4 * scale), parts::tone(session.shown.dark, Tone::line));
    char text[24];
    std::snprintf(text, sizeof text, "%g s", t);
    list.AddText(ImGui::GetFont(), size, ImVec2(x + 2 * scale, y), parts::tone(session.shown.dark, Tone::faint), text);
  }
}

const char* arrow_of(worlds::Push push) {
  switch (push) {
    case worlds::Push::left:
      return "\xE2\x86\x90";
    case worlds::Push::right:
      return "\xE2\x86\x92";
    case worlds::Push::up:
      return "\xE2\x86\x91";
    case worlds::Push::down:
      return "\xE2\x86\x93";
    case worlds::Push::none:
      break;
  }
  return "";
}

void draw_branches(Session& session, const Axis& axis, float y, float lane, float scale) {
  const LiveRun& run = *session.live_run();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const std::vector<BranchInfo> branches = run.branches();
  const int current = run.current();
  const float size = ImGui::GetFontSize() * 0.8f;
  for (const BranchInfo& branch : branches) {
    const float top = y + static_cast<float>(branch.id) * lane, middle = top + lane / 2;
    const float from = axis.at(static_cast<double>(branch.begin)), to = axis.at(static_cast<double>(branch.frames));
    const bool on = branch.id == current;
    const std::uint32_t colour = parts::palette(branch.id, on ? 1.0f : 0.5f);
    if (branch.parent >= 0)
      list.AddLine(ImVec2(from, y + static_cast<float>(branch.parent) * lane + lane / 2), ImVec2(from, middle), colour,
                   2);
    list.AddRectFilled(ImVec2(from, middle - (on ? 3 : 2) * scale),
                       ImVec2(std::max(to, from + 3), middle + (on ? 3 : 2) * scale), colour, 2);
    for (const worlds::TimedAction& timed : branch.actions) {
      if (timed.frame < branch.begin) continue;
      list.AddText(ImGui::GetFont(), size * 1.25f, ImVec2(axis.at(timed.frame) - size * 0.4f, middle - size * 0.62f),
                   parts::tone(session.shown.dark, Tone::text), arrow_of(timed.action.push));
    }
    if (branch.id > 0)
      list.AddText(ImGui::GetFont(), size, ImVec2(to + 5 * scale, middle - size / 2), colour, branch.reason.c_str());
    ImGui::SetCursorScreenPos(ImVec2(from, top));
    ImGui::PushID(branch.id);
    if (ImGui::InvisibleButton("##branch", ImVec2(std::max(8 * scale, to - from), lane))) {
      session.select_branch(branch.id);
      session.seek(static_cast<std::int64_t>(axis.frame(ImGui::GetIO().MousePos.x)));
    }
    parts::mark(session, "branch " + std::to_string(branch.id + 1));
    if (ImGui::IsItemClicked(ImGuiMouseButton_Right) && !on) session.compare_branch(branch.id);
    parts::tooltip("Branch " + std::to_string(branch.id + 1) + ", \"" + branch.settings.prompt + "\", seed " +
                       std::to_string(branch.settings.seed) + ". Click: go there. Right click: beside the current one.",
                   "[  ]");
    ImGui::PopID();
  }
}

}  // namespace

void draw_timeline(Session& session, float scale) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 window = ImGui::GetWindowPos();
  list.AddLine(window, ImVec2(window.x + ImGui::GetWindowWidth(), window.y),
               parts::tone(session.shown.dark, Tone::line));
  draw_transport(session, scale);
  draw_views(session, scale);
  draw_file_buttons(session, scale);
  const ImVec2 begin = ImGui::GetCursorScreenPos();
  const ReelInfo info = session.info();
  Axis axis;
  axis.x = begin.x, axis.width = ImGui::GetContentRegionAvail().x;
  axis.first = static_cast<double>(info.first);
  // A growing world has room to grow into, so that the scale changes rarely.
  double span = static_cast<double>(info.frames - info.first);
  if (info.growing) span = std::max(10 * info.fps, std::ceil(span * 1.1 / (10 * info.fps)) * 10 * info.fps);
  axis.frames = std::max(1.0, span);
  const float strip = 14 * scale;
  ImGui::InvisibleButton("##strip", ImVec2(axis.width, strip + 16 * scale));
  parts::mark(session, "timeline");
  const bool sliding = ImGui::IsItemActive();
  parts::tooltip(
      "Drag to scrub. The strip shows the physics score of each frame: tall and yellow where a law is broken. P "
      "judges, W goes to the worst frame.");
  if (!session.watching()) return;
  if (sliding) session.seek(static_cast<std::int64_t>(axis.frame(ImGui::GetIO().MousePos.x)));
  draw_scores(session, axis, begin.y, strip);
  session.shown.places["score strip"] = {axis.x, begin.y, axis.width, strip};
  draw_ruler(session, axis, begin.y + strip, scale);
  const float lanes = begin.y + strip + 18 * scale;
  if (session.live()) {
    const float room = ImGui::GetWindowPos().y + ImGui::GetWindowHeight() - lanes - 4 * scale;
    const auto count = static_cast<float>(session.live_run()->branches().size());
    draw_branches(session, axis, lanes, std::min(15 * scale, room / std::max(1.0f, count)), scale);
  }
  const float x = axis.at(static_cast<double>(session.playhead().frame()));
  const std::uint32_t colour = parts::tone(session.shown.dark, Tone::text);
  list.AddLine(ImVec2(x, begin.y - 2 * scale), ImVec2(x, lanes + 22 * scale), colour, 1.5f * scale);
  list.AddTriangleFilled(ImVec2(x - 5 * scale, begin.y - 4 * scale), ImVec2(x + 5 * scale, begin.y - 4 * scale),
                         ImVec2(x, begin.y + 3 * scale), colour);
}

}  // namespace orrery::viewer::panels
