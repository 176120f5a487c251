// The side panel's tab about the model: what lies over the picture, how the tokens went to the experts, where the model
// looked when it drew the marked cell.
#include <imgui.h>

#include <algorithm>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"
#include "viewer/state/difference.h"

namespace orrery::viewer::panels {

namespace {

using parts::Tone;
using parts::wrapped;

// Textures of the frames looked at; more than these are summed up in words.
constexpr int kFirstSlot = 8;
constexpr std::size_t kThumbs = 6;

std::string percent(float share) {
  char text[16];
  std::snprintf(text, sizeof text, share < 0.0995f ? "%.1f%%" : "%.0f%%", static_cast<double>(share) * 100);
  return text;
}

void draw_choices(Session& session, float scale) {
  struct Row {
    Heat heat;
    const char* label;
    const char* help;
    const char* keys;
    Command command;
  };
  static constexpr Row kRows[] = {
      {Heat::unsure, "Unsure", "How unsure the model was of each code: the entropy of its choice", "H",
       Command::heat_unsure},
      {Heat::experts, "Experts", "Which expert weighs most for each token", "X", Command::heat_experts},
      {Heat::attention, "Attention", "Where the model looked when it drew the marked cell; click another one", "A",
       Command::heat_attention}};
  ImGui::TextDisabled("Over the picture");
  for (const Row& row : kRows) {
    if (row.heat != Heat::unsure) ImGui::SameLine(0, 4 * scale);
    if (parts::choice(session, row.label, (std::string("heat ") + row.keys).c_str(), session.shown.heat == row.heat,
                      row.help, row.keys))
      session.run(row.command);
  }
}

// A row of bars a layer, an expert each; the line is where all would be loaded alike. A click chooses the layer.
void draw_load(Session& session, const pipeline::Insight& insight, std::size_t layer, float scale) {
  const std::vector<float> load = insight.load(layer);
  float even = 0;
  for (const float share : load) even += share / static_cast<float>(load.size());
  const float label = ImGui::CalcTextSize("00  ").x, height = 24 * scale;
  const float width = ImGui::GetContentRegionAvail().x;
  ImGui::PushID(static_cast<int>(layer));
  if (ImGui::InvisibleButton("##load", ImVec2(width, height))) session.shown.layer = static_cast<int>(layer);
  ImGui::PopID();
  parts::mark(session, "load " + std::to_string(layer + 1));
  const ImVec2 low = ImGui::GetItemRectMin();
  const float each = (width - label) / static_cast<float>(load.size()), gap = each > 6 ? 2.0f : 0.0f;
  const float x = ImGui::GetIO().MousePos.x;
  const auto under = static_cast<std::int64_t>((x - low.x - label) / each);
  std::string help = "Layer " + std::to_string(layer + 1) + ": " + insight.layer_name(layer);
  if (x >= low.x + label && under < static_cast<std::int64_t>(load.size()))
    help += "\nExpert " + std::to_string(under + 1) + ": " + percent(load[static_cast<std::size_t>(under)]) +
            " of this frame's tokens";
  parts::tooltip(help);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const bool dark = session.shown.dark, on = session.shown.layer == static_cast<int>(layer);
  list.AddText(ImVec2(low.x, low.y + 2 * scale), parts::tone(dark, on ? Tone::accent : Tone::faint),
               std::to_string(layer + 1).c_str());
  list.AddRectFilled(ImVec2(low.x + label, low.y), ImVec2(low.x + width, low.y + height),
                     parts::tone(dark, Tone::sunk));
  for (std::size_t e = 0; e < load.size(); ++e) {
    const float from = low.x + label + static_cast<float>(e) * each, tall = height * std::min(1.0f, load[e]);
    list.AddRectFilled(ImVec2(from + gap / 2, low.y + height - tall), ImVec2(from + each - gap / 2, low.y + height),
                       parts::palette(static_cast<int>(e)));
  }
  const float y = low.y + height * (1 - even);
  list.AddLine(ImVec2(low.x + label, y), ImVec2(low.x + width, y), parts::tone(dark, Tone::text, 0.5f));
}

// A frame that was looked at, with where.
void draw_thumb(Session& session, TextureSource& textures, const InsideView& view, const pipeline::Look& look,
                std::size_t back, float side) {
  const ImVec2 low = ImGui::GetCursorScreenPos();
  const float size = ImGui::GetFontSize() * 0.85f;
  ImGui::Dummy(ImVec2(side, side + size * 1.2f));
  parts::mark(session, "looked " + std::to_string(back));
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (const Picture& picture = view.pictures[back]) {
    const auto id = textures.texture(kFirstSlot + static_cast<int>(back), picture, true);
    list.AddImage(parts::to_id<ImTextureID>(id), low, ImVec2(low.x + side, low.y + side));
  }
  float most = 1e-6f;
  for (const std::vector<float>& frame : look.frames)
    most = std::max(most, *std::max_element(frame.begin(), frame.end()));
  const int rows = view.insight.rows(), columns = view.insight.columns();
  const float w = side / static_cast<float>(columns), h = side / static_cast<float>(rows);
  for (std::size_t i = 0; i < look.frames[back].size(); ++i) {
    const float share = look.frames[back][i] / most;
    const ImVec2 at(low.x + static_cast<float>(static_cast<int>(i) % columns) * w,
                    low.y + static_cast<float>(static_cast<int>(i) / columns) * h);
    list.AddRectFilled(at, ImVec2(at.x + w, at.y + h),
                       parts::packed(heat(static_cast<double>(share)), 0.3f + 0.5f * share));
  }
  const std::string label = (back == 0 ? "this one " : std::to_string(back) + " before ") + percent(look.frame(back));
  list.AddText(ImGui::GetFont(), size, ImVec2(low.x, low.y + side + 1), parts::tone(session.shown.dark, Tone::faint),
               label.c_str());
  parts::tooltip("A latent frame (" + std::to_string(session.live_run()->chunk_frames()) +
                 " frames of video) and the share of its attention that went there");
}

void draw_looks(Session& session, TextureSource& textures, const InsideView& view, float scale) {
  const pipeline::Insight& insight = view.insight;
  const std::int64_t cell = session.marked_cell(insight.rows(), insight.columns());
  const pipeline::Look look = insight.look(cell, session.shown.all_layers ? -1 : session.shown.layer);
  ImGui::TextDisabled("Where the model looked, cell %d down, %d across", static_cast<int>(cell / insight.columns()) + 1,
                      static_cast<int>(cell % insight.columns()) + 1);
  ImGui::Checkbox("mean of all layers", &session.shown.all_layers);
  parts::mark(session, "all layers");
  parts::tooltip("Or the layer that is chosen above");
  const std::size_t count = std::min(kThumbs, look.frames.size());
  const float gap = 6 * scale, side = (ImGui::GetContentRegionAvail().x - 2 * gap) / 3;
  for (std::size_t back = 0; back < count; ++back) {
    if (back % 3 != 0) ImGui::SameLine(0, gap);
    draw_thumb(session, textures, view, look, back, side);
  }
  float older = 0;
  for (std::size_t back = count; back < look.frames.size(); ++back) older += look.frame(back);
  std::string rest = "words " + percent(look.words) + ", marks " + percent(look.marks);
  if (look.frames.size() > count) rest += ", older frames " + percent(older);
  wrapped(session, Tone::faint, rest + ", nothing " + percent(look.nothing));
  parts::tooltip(
      "Words: the prompt. Marks: what stands before each frame's codes, its push too. Nothing: the sink that "
      "every head may look at instead.");
}

}  // namespace

void draw_inside(Session& session, TextureSource& textures, float scale) {
  if (session.info().kind != ReelKind::model)
    return wrapped(session, Tone::faint,
                   "This is about worlds that the model makes: choose Model above, type a prompt and press Enter.");
  draw_choices(session, scale);
  const auto found = session.inside();
  if (found == nullptr) return wrapped(session, Tone::faint, "Looking inside...");
  if (!found->error.empty()) return wrapped(session, Tone::bad, found->error);
  const pipeline::Insight& insight = found->insight;
  session.shown.layer = std::clamp(session.shown.layer, 0, static_cast<int>(insight.layers()) - 1);
  ImGui::Spacing();
  ImGui::TextDisabled("Load of the experts, a row a layer");
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(0, 3 * scale));
  for (std::size_t layer = 0; layer < insight.layers(); ++layer) draw_load(session, insight, layer, scale);
  ImGui::PopStyleVar();
  wrapped(session, Tone::faint,
          "Layer " + std::to_string(session.shown.layer + 1) + ": " +
              insight.layer_name(static_cast<std::size_t>(session.shown.layer)));
  ImGui::Spacing();
  draw_looks(session, textures, *found, scale);
}

}  // namespace orrery::viewer::panels
