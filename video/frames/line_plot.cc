#include "video/frames/line_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/base/error.h"
#include "video/frames/contact_sheet.h"

namespace orrery {

namespace {

constexpr std::uint32_t kPaper = 0xFFFFFF, kInk = 0x202020, kGrid = 0xE4E4E4;
constexpr int kLeft = 70, kRight = 16, kTop = 30, kBottom = 34, kCharacter = 6;

struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double value) { low = std::min(low, value), high = std::max(high, value); }
  /// A little room around; a range even for one value.
  void widen(double share) {
    const double room = high > low ? share * (high - low) : std::max(1.0, std::abs(high));
    low -= room, high += room;
  }
};

// 1, 2 or 5 times a power of ten, about `count` of them over the range.
double tick_step(const Axis& axis, int count) {
  const double rough = (axis.high - axis.low) / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * power) return factor * power;
  return 10 * power;
}

void dot(Frame& frame, int x, int y, std::uint32_t colour) {
  if (x < 0 || y < 0 || x >= frame.width() || y >= frame.height()) return;
  for (int c = 0; c < 3; ++c) frame.at(x, y)[c] = static_cast<std::uint8_t>(colour >> (16 - 8 * c));
}

// Two pixels thick.
void line(Frame& frame, double x0, double y0, double x1, double y1, std::uint32_t colour) {
  const int steps = std::max(1, static_cast<int>(std::ceil(std::max(std::abs(x1 - x0), std::abs(y1 - y0)))));
  for (int i = 0; i <= steps; ++i) {
    const double at = static_cast<double>(i) / steps;
    const int x = static_cast<int>(std::lround(x0 + at * (x1 - x0))),
              y = static_cast<int>(std::lround(y0 + at * (y1 - y0)));
    dot(frame, x, y, colour);
    dot(frame, x, y + 1, colour);
  }
}

std::string number(double value, double step) {
  char text[32];
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 8);
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

Frame make_line_plot(std::span<const Curve> curves, const LinePlot& options) {
  Axis x, y;
  for (const Curve& curve : curves)
    for (const auto& [px, py] : curve.points)
      if (std::isfinite(px) && std::isfinite(py)) x.take(px), y.take(py);
  ORRERY_CHECK(x.low <= x.high, "[line_plot] no finite point to draw");
  ORRERY_CHECK(options.width >= 200 && options.height >= 120, "[line_plot] a page of ", options.width, "x",
               options.height, ", expected at least 200x120");
  if (x.low == x.high) x.widen(0);
  y.widen(0.05);
  Frame page(options.width, options.height);
  std::fill(page.bytes().begin(), page.bytes().end(), std::uint8_t{kPaper & 0xFF});
  const int right = options.width - kRight, bottom = options.height - kBottom;
  const auto to_x = [&](double value) { return kLeft + (value - x.low) / (x.high - x.low) * (right - kLeft); };
  const auto to_y = [&](double value) { return bottom - (value - y.low) / (y.high - y.low) * (bottom - kTop); };
  const double x_step = tick_step(x, 8), y_step = tick_step(y, 5);
  for (double tick = std::ceil(y.low / y_step) * y_step; tick <= y.high; tick += y_step) {
    const int at = static_cast<int>(std::lround(to_y(tick)));
    for (int px = kLeft; px < right; ++px) dot(page, px, at, kGrid);
    const std::string text = number(tick, y_step);
    draw_text(page, kLeft - 8 - kCharacter * static_cast<int>(text.size()), at - 3, text, kInk);
  }
  for (double tick = std::ceil(x.low / x_step) * x_step; tick <= x.high; tick += x_step) {
    const int at = static_cast<int>(std::lround(to_x(tick)));
    for (int py = kTop; py < bottom; ++py) dot(page, at, py, kGrid);
    const std::string text = number(tick, x_step);
    draw_text(page, at - kCharacter * static_cast<int>(text.size()) / 2, bottom + 6, text, kInk);
  }
  draw_text(page, kLeft, 8, options.title, kInk);
  draw_text(page, right - kCharacter * static_cast<int>(options.x_label.size()), options.height - 12, options.x_label,
            kInk);
  int legend = right;
  for (const Curve& curve : curves) {
    legend -= kCharacter * (static_cast<int>(curve.label.size()) + 2);
    draw_text(page, legend, 8, curve.label, curve.colour);
    bool started = false;
    double last_x = 0, last_y = 0;
    for (const auto& [px, py] : curve.points) {
      if (!std::isfinite(px) || !std::isfinite(py)) continue;
      const double at_x = to_x(px), at_y = to_y(py);
      line(page, started ? last_x : at_x, started ? last_y : at_y, at_x, at_y, curve.colour);
      last_x = at_x, last_y = at_y, started = true;
    }
  }
  return page;
}

Frame stack_frames(std::span<const Frame> frames) {
  ORRERY_CHECK(!frames.empty(), "[line_plot] no pages to stack");
  int height = 0;
  for (const Frame& frame : frames) {
    ORRERY_CHECK(frame.width() == frames[0].width(), "[line_plot] pages ", frame.width(), " and ", frames[0].width(),
                 " pixels wide in one stack");
    height += frame.height();
  }
  Frame all(frames[0].width(), height);
  auto out = all.bytes().begin();
  for (const Frame& frame : frames) out = std::copy(frame.bytes().begin(), frame.bytes().end(), out);
  return all;
}

}  // namespace orrery
