// The side panel: what the clip is, worlds to start, physics, plots.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "physics_eval/worlds/corrupt.h"
#include "physics_eval/worlds/scene.h"
#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

namespace {

using parts::Tone;
using parts::wrapped;

ImVec4 colour_of(const Session& session, Tone tone) {
  return ImGui::ColorConvertU32ToFloat4(parts::tone(session.shown.dark, tone));
}

void facts_table(const Session& session, const std::vector<std::pair<std::string, std::string>>& facts) {
  if (!ImGui::BeginTable("facts", 2)) return;
  ImGui::TableSetupColumn("name", ImGuiTableColumnFlags_WidthStretch, 0.36f);
  ImGui::TableSetupColumn("value", ImGuiTableColumnFlags_WidthStretch, 0.64f);
  for (const auto& [name, value] : facts) parts::fact(session.shown.dark, name, value);
  ImGui::EndTable();
}

void draw_clip(Session& session) {
  if (!session.watching())
    return wrapped(session, Tone::faint,
                   "Nothing is open. A clip's size, length and the record it was made from stand here.");
  const ReelInfo info = session.info();
  wrapped(session, Tone::text, info.title);
  if (!info.error.empty()) wrapped(session, Tone::bad, info.error);
  if (!info.remark.empty()) wrapped(session, Tone::warm, info.remark);
  ImGui::Separator();
  facts_table(session, info.facts);
}

void draw_recent(Session& session) {
  const std::vector<std::string> files = session.settings().recent_files;
  if (files.empty()) return;
  ImGui::Spacing();
  ImGui::TextDisabled("Recent files");
  for (const std::string& file : files) {
    const std::string name = file.substr(file.find_last_of('/') + 1) + "##" + file;
    if (ImGui::Selectable(name.c_str())) session.open(file);
    parts::tooltip(file);
  }
}

void draw_corruption(Session& session) {
  Form& form = session.form;
  ImGui::SetNextItemWidth(-1);
  if (ImGui::BeginCombo("##corruption", form.corruption.empty() ? "all laws kept" : form.corruption.c_str())) {
    if (ImGui::Selectable("all laws kept", form.corruption.empty())) form.corruption.clear();
    parts::tooltip("A lawful world");
    worlds::WorldSpec spec;
    spec.scene = form.scene.empty() ? "bounce" : form.scene;
    for (const std::string& kind : worlds::corruptions_of(spec)) {
      if (ImGui::Selectable(kind.c_str(), kind == form.corruption)) form.corruption = kind;
      parts::tooltip("The next world breaks this law");
    }
    ImGui::EndCombo();
  }
  parts::mark(session, "corruption");
  parts::tooltip("Break a law of physics in the next world, then press P: does the score find it?");
  if (form.corruption.empty()) return;
  ImGui::SetNextItemWidth(-ImGui::CalcTextSize("from frame  ").x);
  ImGui::SliderInt("from frame", &form.corrupt_frame, 1, 120);
  parts::tooltip("The first frame at which the law is broken");
}

void draw_scenes(Session& session, float scale) {
  Form& form = session.form;
  ImGui::TextDisabled("Worlds of the physics engine");
  const float width = (ImGui::GetContentRegionAvail().x - 8 * scale) / 2;
  int column = 0;
  for (const worlds::SceneInfo& scene : worlds::scene_registry()) {
    const std::string name(scene.name);
    if (name.rfind("phyworld", 0) == 0) continue;  // a benchmark's, with nothing to push
    if (column++ % 2 == 1) ImGui::SameLine(0, 8 * scale);
    const bool on = session.live() && form.scene == name;
    if (on) ImGui::PushStyleColor(ImGuiCol_Button, parts::tone(session.shown.dark, Tone::accent, 0.45f));
    if (ImGui::Button(name.c_str(), ImVec2(width, 0))) {
      if (form.scene != name) form.corruption.clear();
      form.scene = name;
      session.start_scene();
    }
    if (on) ImGui::PopStyleColor();
    parts::mark(session, "scene " + name);
    parts::tooltip(std::string(scene.description));
  }
  ImGui::Spacing();
  ImGui::TextDisabled("Break a law");
  draw_corruption(session);
}

void draw_model_options(Session& session) {
  ImGui::Spacing();
  ImGui::TextDisabled("Model");
  if (!session.model_available()) return wrapped(session, Tone::faint, session.no_model());
  Form& form = session.form;
  ImGui::SetNextItemWidth(-ImGui::CalcTextSize("given frames  ").x);
  ImGui::SliderFloat("temperature", &form.temperature, 0, 1.5f, "%.2f");
  parts::tooltip(
      "How freely the model draws: 0 always takes the likeliest code. Takes effect with the next world or branch.");
  ImGui::SetNextItemWidth(-ImGui::CalcTextSize("given frames  ").x);
  ImGui::SliderInt("given frames", &form.given_frames, 0, 33);
  parts::tooltip("So many frames at the begin come from the engine; the model goes on from them. 0: the model alone.");
}

void draw_world(Session& session, float scale) {
  draw_scenes(session, scale);
  draw_model_options(session);
  draw_recent(session);
}

void draw_law(const Session& session, const LawResult& law) {
  if (!law.applies) return;
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  ImGui::TextColored(colour_of(session, law.violated ? Tone::bad : Tone::text), "%s", law.law.c_str());
  parts::tooltip(law.evidence);
  ImGui::TableNextColumn();
  ImGui::TextColored(colour_of(session, law.violated ? Tone::bad : Tone::good), law.violated ? "broken" : "kept");
  ImGui::TableNextColumn();
  ImGui::Text("%.2f", law.score);
  ImGui::TableNextColumn();
  if (law.frame >= 0) ImGui::Text("%d", law.frame + 1);
}

// The score knows pictures only: a person's push looks like a force from nowhere.
bool at_push(const Session& session, std::int64_t frame) {
  if (!session.live() || frame < 0) return false;
  const auto branches = session.live_run()->branches();
  const auto& actions = branches[static_cast<std::size_t>(session.live_run()->current())].actions;
  return std::any_of(actions.begin(), actions.end(),
                     [frame](const worlds::TimedAction& timed) { return std::abs(timed.frame - frame) <= 3; });
}

void draw_laws(Session& session, const Judgement& found) {
  if (ImGui::BeginTable("laws", 4, ImGuiTableFlags_BordersInnerH)) {
    ImGui::TableSetupColumn("law", ImGuiTableColumnFlags_WidthStretch, 0.4f);
    ImGui::TableSetupColumn("", ImGuiTableColumnFlags_WidthStretch, 0.24f);
    ImGui::TableSetupColumn("score", ImGuiTableColumnFlags_WidthStretch, 0.18f);
    ImGui::TableSetupColumn("frame", ImGuiTableColumnFlags_WidthStretch, 0.18f);
    ImGui::TableHeadersRow();
    for (const LawResult& law : found.score.laws) draw_law(session, law);
    ImGui::EndTable();
  }
  for (const LawResult& law : found.score.laws) {
    if (!law.violated || law.evidence.empty()) continue;
    wrapped(session, Tone::warm, law.law + ": " + law.evidence);
    if (at_push(session, found.first + law.frame))
      wrapped(session, Tone::faint, "That was your push: nothing in the picture explains it.");
  }
  ImGui::Spacing();
  ImGui::TextDisabled("Tracked bodies");
  for (std::size_t i = 0; i < found.tracks.tracks.size(); ++i) {
    const Track& track = found.tracks.tracks[i];
    char line[96];
    std::snprintf(line, sizeof line, "%zu  %s, %s", i + 1, track.colour_word.c_str(),
                  track.moves ? "moves" : "stands still");
    ImGui::PushStyleColor(ImGuiCol_Text, parts::palette(static_cast<int>(i)));
    if (ImGui::Selectable(line, session.shown.picked == static_cast<int>(i)))
      session.shown.picked = static_cast<int>(i);
    ImGui::PopStyleColor();
    parts::tooltip("Click to have the plots show this body");
  }
}

void draw_physics(Session& session, float scale) {
  if (parts::button(session, session.judging() ? "Judging..." : "Judge", "judge",
                    "Tracks the bodies in the pictures and tests the laws of motion", "P", true))
    session.judge_now();
  ImGui::SameLine();
  if (parts::button(session, "Worst frame", "worst", "Goes to the frame that breaks physics most", "W"))
    session.run(Command::worst);
  ImGui::Checkbox("tracks", &session.shown.tracks);
  parts::mark(session, "tracks");
  parts::tooltip("Where the tracked bodies were, over the picture", "T");
  ImGui::SameLine();
  ImGui::Checkbox("velocities", &session.shown.velocities);
  parts::tooltip("Arrows, and the parabola that fits the frames around", "V");
  ImGui::Separator();
  const auto found = session.judgement();
  if (!found)
    return wrapped(session, Tone::faint,
                   session.judging()
                       ? "Following the bodies..."
                       : "Not judged yet. The score needs no reference: it asks whether what moves keeps the laws.");
  if (!found->error.empty()) return wrapped(session, Tone::bad, found->error);
  if (std::isnan(found->score.score)) {
    wrapped(session, Tone::warm, "No score: " + found->score.reason);
  } else {
    ImGui::SetWindowFontScale(2.2f);
    ImGui::TextColored(colour_of(session, found->score.violated ? Tone::bad : Tone::good), "%.2f", found->score.score);
    ImGui::SetWindowFontScale(1);
    parts::mark(session, "score");
    ImGui::SameLine(0, 12 * scale);
    char text[160];
    std::snprintf(text, sizeof text, "%s\nframes %lld to %lld, bodies: %d",
                  found->score.violated ? "breaks physics" : "keeps physics", static_cast<long long>(found->first + 1),
                  static_cast<long long>(found->first + found->count), found->score.tracks);
    ImGui::TextUnformatted(text);
  }
  if (!found->tracks.tracks.empty()) draw_laws(session, *found);
}

void draw_plots(Session& session, float scale) {
  const std::vector<Plot> plots = plots_of(session, 6);
  if (plots.empty())
    return wrapped(session, Tone::faint,
                   "No curves yet: start a world, or press P to have the bodies of a clip followed.");
  for (const Plot& plot : plots) draw_plot(session, plot, 108 * scale, session.playhead().seconds());
}

}  // namespace

void draw_side_panel(Session& session, TextureSource& textures, float scale) {
  struct Row {
    Tab tab;
    const char* label;
    const char* help;
  };
  static constexpr Row kTabs[] = {{Tab::world, "World", "Worlds to start, the model's settings, recent files"},
                                  {Tab::clip, "Clip", "What this clip is, and the record it was made from"},
                                  {Tab::physics, "Physics", "Score, laws, tracked bodies"},
                                  {Tab::plots, "Plots", "Position, speed, energy and momentum over time"},
                                  {Tab::inside, "Inside", "How sure the model was, its experts, where it looked"}};
  if (!ImGui::BeginTabBar("tabs")) return;
  const bool asked = std::exchange(session.shown.tab_asked, false);
  for (const Row& row : kTabs) {
    const bool select = asked && row.tab == session.shown.tab;
    const bool open = ImGui::BeginTabItem(row.label, nullptr, select ? ImGuiTabItemFlags_SetSelected : 0);
    parts::mark(session, std::string("tab ") + row.label);
    parts::tooltip(row.help);
    if (!open) continue;
    if (!asked) session.shown.tab = row.tab;
    ImGui::BeginChild("inside", ImVec2(0, 0));
    switch (row.tab) {
      case Tab::clip:
        draw_clip(session);
        break;
      case Tab::world:
        draw_world(session, scale);
        break;
      case Tab::physics:
        draw_physics(session, scale);
        break;
      case Tab::plots:
        draw_plots(session, scale);
        break;
      case Tab::inside:
        draw_inside(session, textures, scale);
        break;
    }
    ImGui::EndChild();
    ImGui::EndTabItem();
  }
  ImGui::EndTabBar();
}

}  // namespace orrery::viewer::panels
