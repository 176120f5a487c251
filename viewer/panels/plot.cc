// One plot: axes with their ends written on, curves, and a line at the playhead.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

namespace {

struct Range {
  float low = 0, high = 1;
};

Range range_of(const std::vector<Series>& series, std::vector<float> Series::*values) {
  Range range{1e30f, -1e30f};
  for (const Series& one : series) {
    for (const float value : one.*values) {
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  return range;
}

// Leaves out points that lie on the line between others, to a fraction of a pixel.
void simplify(const std::vector<ImVec2>& points, std::size_t first, std::size_t last, std::vector<ImVec2>& kept) {
  constexpr float kInvisible = 0.1f;
  const float dx = points[last].x - points[first].x, dy = points[last].y - points[first].y;
  const float length = std::max(1e-6f, std::hypot(dx, dy));
  float most = kInvisible;
  std::size_t farthest = last;
  for (std::size_t i = first + 1; i < last; ++i) {
    const float off = std::abs(dx * (points[i].y - points[first].y) - dy * (points[i].x - points[first].x)) / length;
    if (off > most) most = off, farthest = i;
  }
  if (farthest == last) return kept.push_back(points[last]);
  simplify(points, first, farthest, kept);
  simplify(points, farthest, last, kept);
}

// One joined line, whose thickness is whole: Dear ImGui draws it with a third of the triangles and without notches. It
// is begun anew at sharp turns, whose joints would stick out.
void draw_curve(const std::vector<ImVec2>& points, std::uint32_t colour, float thickness) {
  if (points.size() < 2) return;
  std::vector<ImVec2> kept{points[0]};
  simplify(points, 0, points.size() - 1, kept);
  std::size_t begin = 0;
  for (std::size_t i = 1; i < kept.size(); ++i) {
    const bool ends = i + 1 == kept.size();
    const auto along = [&](std::size_t k) { return ImVec2(kept[k + 1].x - kept[k].x, kept[k + 1].y - kept[k].y); };
    if (!ends && along(i - 1).x * along(i).x + along(i - 1).y * along(i).y > 0) continue;
    ImGui::GetWindowDrawList()->AddPolyline(&kept[begin], static_cast<int>(i - begin + 1), colour, ImDrawFlags_None,
                                            std::max(1.0f, std::round(thickness)));
    begin = i;
  }
}

}  // namespace

void draw_plot(Session& session, const Plot& plot, float height, double now) {
  using parts::Tone;
  const bool dark = session.shown.dark;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float size = ImGui::GetFontSize(), small = size * 0.8f;
  ImGui::TextUnformatted(plot.title.c_str());
  ImGui::SameLine(0, size * 0.4f);
  ImGui::TextDisabled("%s", plot.unit.c_str());
  for (const Series& series : plot.series) {
    ImGui::SameLine(0, size * 0.8f);
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(parts::palette(series.colour)), "%s", series.name.c_str());
  }
  const float width = ImGui::GetContentRegionAvail().x;
  ImGui::Dummy(ImVec2(width, height - size * 1.6f));
  parts::mark(session, "plot " + plot.title);
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  list.AddRectFilled(low, high, parts::tone(dark, Tone::sunk), 4);
  const Range x = range_of(plot.series, &Series::time);
  Range y = range_of(plot.series, &Series::value);
  // Noise of a curve that stands still is not blown up to the whole height.
  const float least = 0.02f * std::max(1.0f, std::max(std::abs(y.low), std::abs(y.high)));
  if (y.high - y.low < least) y = {(y.low + y.high - least) / 2, (y.low + y.high + least) / 2};
  const float pad = 4;
  const auto at = [&](float time, float value) {
    const float u = (time - x.low) / std::max(1e-6f, x.high - x.low), v = (value - y.low) / (y.high - y.low);
    return ImVec2(low.x + pad + u * (high.x - low.x - 2 * pad), high.y - pad - v * (high.y - low.y - 2 * pad));
  };
  list.PushClipRect(low, high, true);
  const auto place = static_cast<float>(now);
  if (place >= x.low && place <= x.high)
    list.AddLine(ImVec2(at(place, y.low).x, low.y), ImVec2(at(place, y.low).x, high.y),
                 parts::tone(dark, Tone::faint, 0.7f));
  if (y.low < 0 && y.high > 0) list.AddLine(at(x.low, 0), at(x.high, 0), parts::tone(dark, Tone::line));
  for (const Series& series : plot.series) {
    const auto draw = [&](const std::vector<ImVec2>& points) {
      draw_curve(points, parts::palette(series.colour), size * (series.reference ? 0.3f : 0.12f));
    };
    std::vector<ImVec2> points;
    for (std::size_t i = 0; i < series.time.size(); ++i) {
      if (i > 0 && series.time[i] - series.time[i - 1] > 0.3f) {  // it was out of sight in between
        draw(points);
        points.clear();
      }
      points.push_back(at(series.time[i], series.value[i]));
    }
    draw(points);
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", static_cast<double>(y.high));
  list.AddText(ImGui::GetFont(), small, ImVec2(low.x + pad, low.y + 1), parts::tone(dark, Tone::faint), text);
  std::snprintf(text, sizeof text, "%.3g", static_cast<double>(y.low));
  list.AddText(ImGui::GetFont(), small, ImVec2(low.x + pad, high.y - small - 1), parts::tone(dark, Tone::faint), text);
  list.PopClipRect();
}

}  // namespace orrery::viewer::panels
