#include "viewer/state/difference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "core/base/error.h"
#include "video/frames/resize.h"

namespace orrery::viewer {

namespace {

constexpr int kGap = 4;
constexpr double kFull = 64;  // grey levels

// Nine steps of cividis.
constexpr std::array<std::array<int, 3>, 9> kHeat = {{{0, 34, 78},
                                                      {29, 53, 109},
                                                      {65, 77, 107},
                                                      {94, 100, 110},
                                                      {124, 123, 120},
                                                      {157, 147, 119},
                                                      {192, 173, 107},
                                                      {227, 201, 84},
                                                      {254, 232, 56}}};

Frame as_large(const Frame& frame, int width, int height) {
  if (frame.width() == width && frame.height() == height) return frame;
  return resize(frame, width, height, frame.width() >= width ? Filter::area : Filter::bilinear);
}

}  // namespace

std::uint32_t heat(double share) {
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(kHeat.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(place), kHeat.size() - 2);
  const double rest = place - static_cast<double>(low);
  std::uint32_t colour = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    const double value = kHeat[low][c] + (kHeat[low + 1][c] - kHeat[low][c]) * rest;
    colour = (colour << 8) | static_cast<std::uint32_t>(std::lround(value));
  }
  return colour;
}

Frame difference(const Frame& a, const Frame& b) {
  ORRERY_CHECK(!a.empty() && !b.empty(), "[difference] an empty frame");
  const Frame other = as_large(b, a.width(), a.height());
  std::array<std::uint32_t, 256> colours{};
  for (std::size_t i = 0; i < colours.size(); ++i) colours[i] = heat(static_cast<double>(i) / kFull);
  Frame out(a.width(), a.height());
  const auto from = a.bytes(), to = other.bytes();
  const auto result = out.bytes();
  for (std::size_t i = 0; i + 2 < from.size(); i += 3) {
    int sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += std::abs(int{from[i + c]} - int{to[i + c]});
    const int grey = (54 * from[i] + 183 * from[i + 1] + 19 * from[i + 2]) >> 8;
    // Faint where nothing differs, all heat from a sixteenth of the range on.
    const int mean = sum / 3, weight = std::min(256, mean * 16);
    const std::uint32_t colour = colours[static_cast<std::size_t>(mean)];
    for (std::size_t c = 0; c < 3; ++c) {
      const int hot = static_cast<int>((colour >> (16 - 8 * c)) & 0xFF);
      result[i + c] = static_cast<std::uint8_t>(((grey / 3 + 24) * (256 - weight) + hot * weight) >> 8);
    }
  }
  return out;
}

Frame side_by_side(const Frame& a, const Frame& b) {
  ORRERY_CHECK(!a.empty() && !b.empty(), "[side by side] an empty frame");
  const int width = std::max(1, static_cast<int>(std::lround(1.0 * b.width() * a.height() / b.height())));
  const Frame other = as_large(b, width, a.height());
  Frame out(a.width() + kGap + width, a.height(), 24);
  for (int y = 0; y < a.height(); ++y) {
    std::copy_n(a.row(y), a.width() * 3, out.row(y));
    std::copy_n(other.row(y), width * 3, out.at(a.width() + kGap, y));
  }
  return out;
}

}  // namespace orrery::viewer
