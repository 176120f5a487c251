// What lies over the rest: help, the file list, times, notices.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "video/io/reader.h"
#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

namespace {

namespace fs = std::filesystem;
using parts::Tone;

constexpr ImGuiWindowFlags kPlain = ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse |
                                    ImGuiWindowFlags_NoSavedSettings;

bool begin_centred(const char* title, const Rect& stage, float width, float height, bool* open) {
  ImGui::SetNextWindowPos(ImVec2(stage.x + (stage.width - width) / 2, stage.y + (stage.height - height) / 2));
  ImGui::SetNextWindowSize(ImVec2(width, height));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 8);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
  const bool shown = ImGui::Begin(title, open, kPlain);
  ImGui::PopStyleVar(2);
  return shown;
}

void draw_help(Session& session, const Rect& stage, float scale) {
  if (!session.shown.help) return;
  const float width = std::min(stage.width * 0.97f, 900 * scale), height = std::min(stage.height * 0.97f, 590 * scale);
  if (begin_centred("Keys and mouse", stage, width, height, &session.shown.help)) {
    parts::mark(session, "help window");
    parts::wrapped(session, Tone::faint,
                   "Drag on a body: push it.  Click: pick it for plots, arrow keys and attention.  Wheel: zoom, right "
                   "drag: move.  Drop files or a folder: open them.");
    const auto all = bindings();
    if (ImGui::BeginTable("keys", 4)) {
      for (int half = 0; half < 2; ++half) {
        ImGui::TableSetupColumn("keys", ImGuiTableColumnFlags_WidthFixed, ImGui::CalcTextSize("Ctrl+Shift+O").x);
        ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_WidthStretch);
      }
      const std::size_t rows = (all.size() + 1) / 2;
      for (std::size_t row = 0; row < rows; ++row) {
        ImGui::TableNextRow();
        for (const std::size_t i : {row, row + rows}) {
          if (i >= all.size()) continue;
          ImGui::TableNextColumn();
          ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(parts::tone(session.shown.dark, Tone::accent)), "%s",
                             all[i].keys);
          ImGui::TableNextColumn();
          ImGui::TextWrapped("%s", all[i].what);
        }
      }
      ImGui::EndTable();
    }
  }
  ImGui::End();
}

// Folders and videos of the current folder.
void draw_browser(Session& session, const Rect& stage, float scale) {
  if (session.shown.browser.empty()) return;
  static fs::path folder = fs::current_path();
  bool open = true;
  const bool beside = session.shown.browser == "open beside";
  const char* title = beside ? "Compare with###browser" : "Open a video###browser";
  if (begin_centred(title, stage, std::min(stage.width * 0.9f, 560 * scale), std::min(stage.height * 0.9f, 460 * scale),
                    &open)) {
    ImGui::TextDisabled("%s", folder.string().c_str());
    ImGui::BeginChild("files");
    std::vector<fs::path> folders, files;
    std::error_code error;
    for (fs::directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && entry != end; entry.increment(error)) {
      if (entry->path().filename().string()[0] == '.') continue;
      if (entry->is_directory(error)) {
        folders.push_back(entry->path());
      } else if (has_video_extension(entry->path().string())) {
        files.push_back(entry->path());
      }
    }
    std::sort(folders.begin(), folders.end());
    std::sort(files.begin(), files.end());
    if (folder.has_parent_path()) {
      const fs::path above = folder.parent_path();
      if (ImGui::Selectable("..  (the folder above)")) folder = above;
      parts::tooltip(above.string());
    }
    if (!beside && !files.empty()) {
      if (ImGui::Selectable("All clips of this folder, as a contact sheet"))
        session.open(folder.string()), open = false;
      parts::mark(session, "folder as sheet");
      parts::tooltip("A frame of each clip, its prompt and its physics score");
    }
    for (const fs::path& path : folders) {
      if (ImGui::Selectable((path.filename().string() + "/").c_str())) folder = path;
      parts::tooltip("Looks into this folder");
    }
    for (const fs::path& path : files) {
      ImGui::PushStyleColor(ImGuiCol_Text, parts::tone(session.shown.dark, Tone::accent));
      const bool chosen = ImGui::Selectable(path.filename().string().c_str());
      ImGui::PopStyleColor();
      parts::tooltip(beside ? "Lays this video beside the one that is open" : "Opens this video");
      if (!chosen) continue;
      if (beside) {
        session.open_beside(path.string());
      } else {
        session.open(path.string());
      }
      open = false;
    }
    if (files.empty()) ImGui::TextDisabled("No videos in this folder.");
    ImGui::EndChild();
  }
  ImGui::End();
  if (!open) session.shown.browser.clear();
}

void draw_times(Session& session, const Rect& stage, float scale) {
  if (!session.shown.profiler) return;
  const Times& times = session.times;
  ImGui::SetNextWindowPos(ImVec2(stage.x + stage.width - 250 * scale, stage.y + 12 * scale));
  ImGui::SetNextWindowSize(ImVec2(236 * scale, 0));
  ImGui::SetNextWindowBgAlpha(0.85f);
  if (ImGui::Begin("Times", &session.shown.profiler, kPlain | ImGuiWindowFlags_NoFocusOnAppearing)) {
    const std::size_t last = (times.next + times.draw.size() - 1) % times.draw.size();
    ImGui::Text("drawing  %.1f ms a frame", static_cast<double>(times.draw[last]));
    ImGui::PlotLines("##draw", times.draw.data(), static_cast<int>(times.draw.size()), static_cast<int>(times.next),
                     nullptr, 0, 20, ImVec2(-1, 40 * scale));
    parts::tooltip("Milliseconds to draw each of the last 120 frames, 0 to 20");
    ImGui::Text("window   %.0f frames a second", 1000.0 / std::max(0.01, static_cast<double>(times.frame[last])));
    if (session.live()) {
      ImGui::Text("world    %.1f frames a second", session.live_run()->rate());
      parts::tooltip("How many frames a second its thread could make");
      if (session.world_tokens_a_second() > 0)
        ImGui::Text("model    %.0f tokens a second", session.world_tokens_a_second());
    }
  }
  ImGui::End();
}

void draw_notices(Session& session, const Rect& stage, float scale) {
  ImDrawList& list = *ImGui::GetForegroundDrawList();
  const float size = ImGui::GetFontSize(), pad = size * 0.6f, wrap = std::min(stage.width * 0.8f, 560 * scale);
  float y = stage.y + 14 * scale;
  for (const Notice& notice : session.notices()) {
    const Tone tone = notice.kind == Notice::Kind::error     ? Tone::bad
                      : notice.kind == Notice::Kind::warning ? Tone::warm
                                                             : Tone::accent;
    const float alpha = static_cast<float>(std::clamp(8 - notice.age, 0.0, 1.0));
    const ImVec2 text = ImGui::GetFont()->CalcTextSizeA(size, wrap, wrap, notice.text.c_str());
    const float x = stage.x + (stage.width - text.x) / 2 - pad;
    list.AddRectFilled(ImVec2(x, y), ImVec2(x + text.x + 2 * pad, y + text.y + pad),
                       parts::tone(session.shown.dark, Tone::panel, 0.94f * alpha), 6);
    list.AddRectFilled(ImVec2(x, y), ImVec2(x + 4 * scale, y + text.y + pad),
                       parts::tone(session.shown.dark, tone, alpha), 3);
    list.AddText(ImGui::GetFont(), size, ImVec2(x + pad, y + pad / 2),
                 parts::tone(session.shown.dark, Tone::text, alpha), notice.text.c_str(), nullptr, wrap);
    y += text.y + pad * 1.6f;
  }
}

}  // namespace

void draw_popups(Session& session, const Rect& stage, float scale) {
  draw_times(session, stage, scale);
  draw_browser(session, stage, scale);
  draw_help(session, stage, scale);
  draw_notices(session, stage, scale);
}

}  // namespace orrery::viewer::panels
