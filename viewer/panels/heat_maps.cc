// Heat maps over the picture: how unsure the model was of each cell, which expert took it, where the model looked.
#include <imgui.h>

#include <algorithm>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"
#include "viewer/state/difference.h"

namespace orrery::viewer::panels {

void draw_heat_legend(const Rect& room, const char* low, const char* high, float scale) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float width = 120 * scale, pad = 7 * scale, size = ImGui::GetFontSize();
  const float before = ImGui::CalcTextSize(low).x, after = ImGui::CalcTextSize(high).x;
  const float y = room.y + room.height - size - 2 * pad;
  float x = room.x + room.width - before - after - width - 5 * pad;
  list.AddRectFilled(ImVec2(x, y), ImVec2(room.x + room.width - pad, y + size + pad), parts::packed(0x000000, 0.62f),
                     pad);
  list.AddText(ImVec2(x + pad, y + pad / 2), parts::packed(0xE8EBF0), low);
  x += before + 2 * pad;
  constexpr int kSteps = 30;
  for (int i = 0; i < kSteps; ++i) {
    const float from = x + width * static_cast<float>(i) / kSteps, to = x + width * static_cast<float>(i + 1) / kSteps;
    list.AddRectFilled(ImVec2(from, y + pad), ImVec2(to, y + size),
                       parts::packed(heat(static_cast<double>(i) / kSteps)));
  }
  list.AddText(ImVec2(x + width + pad, y + pad / 2), parts::packed(0xE8EBF0), high);
}

namespace {

constexpr std::uint32_t kWhite = 0xE8EBF0;

void say(const Rect& room, const std::string& text, float scale) {
  parts::chip(room.x + (room.width - ImGui::CalcTextSize(text.c_str()).x) / 2, room.y + room.height - 34 * scale, text,
              parts::packed(kWhite));
}

struct Grid {
  Rect place;
  int rows = 1, columns = 1;
  Rect cell(std::int64_t i) const {
    const auto row = static_cast<float>(i / columns), column = static_cast<float>(i % columns);
    const float width = place.width / static_cast<float>(columns), height = place.height / static_cast<float>(rows);
    return {place.x + column * width, place.y + row * height, width, height};
  }
};

void fill(const Rect& cell, std::uint32_t colour) {
  ImGui::GetWindowDrawList()->AddRectFilled(ImVec2(cell.x, cell.y), ImVec2(cell.x + cell.width, cell.y + cell.height),
                                            colour);
}

void draw_unsure(const Session& session, const Rect& place, const Rect& room, float scale) {
  const Uncertainty found = session.uncertainty();
  if (found.bits.empty() || found.columns <= 0)
    return say(room, "no uncertainty here: the engine drew this frame", scale);
  const Grid grid{place, found.rows, found.columns};
  const double full = found.most / 2;  // a choice among the root of all codes is as unsure as it gets in practice
  for (std::size_t i = 0; i < found.bits.size(); ++i) {
    const double share = std::min(1.0, static_cast<double>(found.bits[i]) / full);
    fill(grid.cell(static_cast<std::int64_t>(i)), parts::packed(heat(share), static_cast<float>(0.25 + 0.5 * share)));
  }
  char high[32];
  std::snprintf(high, sizeof high, "unsure (%.1f bits)", full);
  draw_heat_legend(room, "sure", high, scale);
}

// A colour and the expert's number a cell.
void draw_experts(const Session& session, const pipeline::Insight& insight, const Rect& place, const Rect& room,
                  float scale) {
  const auto layer =
      static_cast<std::size_t>(std::clamp(session.shown.layer, 0, static_cast<int>(insight.layers()) - 1));
  const std::vector<int> experts = insight.first_experts(layer);
  const Grid grid{place, insight.rows(), insight.columns()};
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float size = ImGui::GetFontSize() * 0.85f;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    const Rect cell = grid.cell(static_cast<std::int64_t>(i));
    fill({cell.x + 1, cell.y + 1, cell.width - 2, cell.height - 2}, parts::palette(experts[i], 0.42f));
    if (cell.width < 2 * size) continue;
    const std::string number = std::to_string(experts[i] + 1);
    const ImVec2 at(cell.x + 4 * scale, cell.y + 2 * scale);
    list.AddText(ImGui::GetFont(), size, ImVec2(at.x + 1, at.y + 1), parts::packed(0x000000, 0.8f), number.c_str());
    list.AddText(ImGui::GetFont(), size, at, parts::packed(kWhite), number.c_str());
  }
  say(room, "the expert that weighs most for each token, layer " + std::to_string(layer + 1), scale);
}

// All frames that were looked at lie over each other; the side panel has them one by one.
void draw_attention(const Session& session, const pipeline::Insight& insight, const Rect& place, const Rect& room,
                    float scale) {
  const std::int64_t cell = session.marked_cell(insight.rows(), insight.columns());
  const int layer = std::clamp(session.shown.layer, 0, static_cast<int>(insight.layers()) - 1);
  const std::vector<float> shares = insight.look(cell, session.shown.all_layers ? -1 : layer).cells();
  const float most = std::max(1e-6f, *std::max_element(shares.begin(), shares.end()));
  const Grid grid{place, insight.rows(), insight.columns()};
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const float share = shares[i] / most;
    fill(grid.cell(static_cast<std::int64_t>(i)),
         parts::packed(heat(static_cast<double>(share)), 0.3f + 0.45f * share));
  }
  const Rect marked = grid.cell(cell);
  ImGui::GetWindowDrawList()->AddRect(ImVec2(marked.x, marked.y),
                                      ImVec2(marked.x + marked.width, marked.y + marked.height),
                                      parts::packed(0xFFFFFF), 0, 0, 2 * scale);
  char high[32];
  std::snprintf(high, sizeof high, "%.0f%% of its look", static_cast<double>(most) * 100);
  draw_heat_legend(room, "none", high, scale);
}

}  // namespace

void draw_heat_map(const Session& session, const Rect& place, const Rect& room, float scale) {
  if (session.shown.heat == Heat::none || session.info().kind != ReelKind::model) return;
  if (session.shown.heat == Heat::unsure) return draw_unsure(session, place, room, scale);
  const auto found = session.inside();
  if (found == nullptr) return say(room, "looking inside...", scale);
  if (!found->error.empty()) return say(room, found->error, scale);
  if (session.shown.heat == Heat::experts) return draw_experts(session, found->insight, place, room, scale);
  draw_attention(session, found->insight, place, room, scale);
}

}  // namespace orrery::viewer::panels
