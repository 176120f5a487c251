// Plain pictures of balls for tests of what looks at video: independent of the worlds' own drawing.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/random.h"
#include "video/frames/frame.h"

namespace orrery::test {

struct Paint {
  double r, g, b;
};

inline void blend(std::uint8_t* p, const Paint& c, double cover) {
  const double full[3] = {c.r, c.g, c.b};
  for (int i = 0; i < 3; ++i)
    p[i] = static_cast<std::uint8_t>(std::clamp(p[i] + (full[i] - p[i]) * cover + 0.5, 0.0, 255.0));
}

/// A shaded disc; coverage by 4×4 samples a pixel. Pixels as in track.h: the first pixel's centre is (0.5, 0.5).
inline void draw_ball(Frame& frame, double x, double y, double radius, const Paint& colour, double shade = 0.25) {
  for (int j = std::max(0, static_cast<int>(y - radius) - 1);
       j <= std::min(frame.height() - 1, static_cast<int>(y + radius) + 1); ++j) {
    for (int i = std::max(0, static_cast<int>(x - radius) - 1);
         i <= std::min(frame.width() - 1, static_cast<int>(x + radius) + 1); ++i) {
      int inside = 0;
      for (int k = 0; k < 16; ++k) {
        const double dx = i + (k % 4 + 0.5) / 4 - x, dy = j + (k / 4 + 0.5) / 4 - y;
        inside += dx * dx + dy * dy <= radius * radius;
      }
      const double dx = i + 0.5 - x, dy = j + 0.5 - y, s = 1 - shade * (dx * dx + dy * dy) / (radius * radius);
      if (inside) blend(frame.at(i, j), {colour.r * s, colour.g * s, colour.b * s}, inside / 16.0);
    }
  }
}

inline void draw_box(Frame& frame, double x, double y, double width, double height, double angle, const Paint& colour) {
  const double c = std::cos(angle), s = std::sin(angle), reach = std::hypot(width, height) / 2 + 1;
  for (int j = std::max(0, static_cast<int>(y - reach)); j <= std::min(frame.height() - 1, static_cast<int>(y + reach));
       ++j) {
    for (int i = std::max(0, static_cast<int>(x - reach));
         i <= std::min(frame.width() - 1, static_cast<int>(x + reach)); ++i) {
      int inside = 0;
      for (int k = 0; k < 16; ++k) {
        const double dx = i + (k % 4 + 0.5) / 4 - x, dy = j + (k / 4 + 0.5) / 4 - y;
        inside += std::abs(c * dx + s * dy) <= width / 2 && std::abs(-s * dx + c * dy) <= height / 2;
      }
      if (inside) blend(frame.at(i, j), colour, inside / 16.0);
    }
  }
}

enum class Ground { plain, gradient, checker };

/// A background with, from `floor` (share of the height) down, a darker ground plane.
inline Frame draw_ground(int width, int height, Ground kind, double floor = 1) {
  Frame frame(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      double v = 215;
      if (kind == Ground::gradient) v = 190 + 45.0 * y / height;
      if (kind == Ground::checker) v = (x * 8 / width + y * 8 / height) % 2 ? 205 : 225;
      if (y >= floor * height) v = 120;
      std::uint8_t* p = frame.at(x, y);
      p[0] = static_cast<std::uint8_t>(v), p[1] = static_cast<std::uint8_t>(v - 4),
      p[2] = static_cast<std::uint8_t>(v - 8);
    }
  }
  return frame;
}

/// Adds normal noise of so many grey levels to every channel.
inline void add_noise(Frame& frame, double sigma, Random random) {
  for (std::uint8_t& v : frame.bytes())
    v = static_cast<std::uint8_t>(std::clamp(v + sigma * random.normal() + 0.5, 0.0, 255.0));
}

constexpr Paint kRed{214, 40, 44}, kBlue{44, 92, 222}, kGreen{46, 164, 72}, kYellow{240, 204, 36}, kBlack{30, 30, 34};

}  // namespace orrery::test
