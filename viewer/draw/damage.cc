#include "viewer/draw/damage.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "viewer/draw/primitives.h"

namespace orrery::viewer::draw {

namespace {

constexpr int kTile = Damage::kTile;
// A rectangle more costs about as much as drawing so many pixels.
constexpr long kWorthARectangle = 3000;
constexpr std::size_t kMostRectangles = 96;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t a = size, b = 1, word = 0;  // two chains, for the multiplier takes its time
  for (; size >= 16; bytes += 16, size -= 16) {
    std::memcpy(&word, bytes, 8);
    a = mixed(a, word);
    std::memcpy(&word, bytes + 8, 8);
    b = mixed(b, word);
  }
  for (; size > 0; bytes += std::min<std::size_t>(size, 8), size -= std::min<std::size_t>(size, 8)) {
    word = 0;
    std::memcpy(&word, bytes, std::min<std::size_t>(size, 8));
    a = mixed(a, word);
  }
  return mixed(a, b);
}

std::uint64_t hash_of(const Primitive& one) {
  std::uint64_t hash = mixed(hash_of(&one.clip, sizeof one.clip), one.texture);
  for (int i = 0; i < one.count; ++i) hash = mixed(hash, hash_of(&one.vertex(i), sizeof(ImDrawVert)));
  return hash;
}

// The first pixel of a picture, and the one after the last, that `length` window pixels from `place` on may show, where
// it lies from `first` to `last` with its shares `u` to `v`. A pixel's neighbours count, for they blend into it.
std::pair<int, int> shown(float first, float last, float u, float v, int place, int length, int pixels) {
  const auto size = static_cast<float>(pixels);
  const float step = (v - u) * size / std::max(1e-6f, last - first);
  const float begin = u * size + (static_cast<float>(place) - first) * step;
  const float end = begin + static_cast<float>(length) * step;
  return {static_cast<int>(std::clamp(std::floor(std::min(begin, end)) - 1, 0.0f, size)),
          static_cast<int>(std::clamp(std::ceil(std::max(begin, end)) + 1, 0.0f, size))};
}

std::uint64_t hash_of(const Frame& picture, const Primitive& one, const PixelRect& part) {
  if (!one.rectangle()) return hash_of(picture.bytes().data(), picture.bytes().size());
  const ImDrawVert &low = one.vertex(0), &high = one.vertex(2);
  const auto [left, right] = shown(low.pos.x, high.pos.x, low.uv.x, high.uv.x, part.x, part.width, picture.width());
  const auto [top, bottom] = shown(low.pos.y, high.pos.y, low.uv.y, high.uv.y, part.y, part.height, picture.height());
  std::uint64_t hash = 0;
  for (int y = top; y < bottom && left < right; ++y)
    hash = mixed(hash, hash_of(picture.at(left, y), static_cast<std::size_t>(right - left) * 3));
  return hash;
}

// Joins rectangles whose hull is little larger than both and meets no third one.
void join(std::vector<PixelRect>& rects) {
  for (std::size_t i = 0; i < rects.size(); ++i) {
    for (std::size_t j = i + 1; j < rects.size(); ++j) {
      const PixelRect hull = around(rects[i], rects[j]);
      if (hull.area() - rects[i].area() - rects[j].area() > kWorthARectangle) continue;
      std::size_t met = 0;
      for (const PixelRect& other : rects) met += common(hull, other).empty() ? 0 : 1;
      if (met > 2) continue;
      rects[i] = hull;
      rects.erase(rects.begin() + static_cast<std::ptrdiff_t>(j));
      j = i;  // the larger one may reach those passed over
    }
  }
}

// Runs of changed tiles, and equal runs below each other as one.
std::vector<PixelRect> runs(const std::vector<std::uint64_t>& now, const std::vector<std::uint64_t>& before,
                            int across) {
  std::vector<PixelRect> rects;
  for (std::size_t begin = 0; begin < now.size();) {
    const auto width = static_cast<std::size_t>(across);
    std::size_t end = begin;
    while (end < now.size() && now[end] != before[end] && (end == begin || end % width != 0)) ++end;
    if (end > begin) {
      const PixelRect run{static_cast<int>(begin % width) * kTile, static_cast<int>(begin / width) * kTile,
                          static_cast<int>(end - begin) * kTile, kTile};
      const auto above = std::find_if(rects.begin(), rects.end(), [&](const PixelRect& rect) {
        return rect.x == run.x && rect.width == run.width && rect.y + rect.height == run.y;
      });
      above == rects.end() ? rects.push_back(run) : void(above->height += kTile);
    }
    begin = std::max(end, begin + 1);
  }
  return rects;
}

}  // namespace

std::vector<PixelRect> Damage::changed(const std::vector<Primitive>& primitives, int width, int height,
                                       std::uint32_t background, const PictureOf& picture_of) {
  const int across = (width + kTile - 1) / kTile, down = (height + kTile - 1) / kTile;
  const PixelRect window{0, 0, width, height};
  std::vector<std::uint64_t> now(static_cast<std::size_t>(across) * static_cast<std::size_t>(down));
  std::uintptr_t texture = 0;
  const Frame* picture = nullptr;
  for (const Primitive& one : primitives) {
    if (one.texture != texture) texture = one.texture, picture = picture_of(texture);
    const std::uint64_t hash = hash_of(one);
    const PixelRect& bounds = one.bounds;
    for (int y = bounds.y / kTile; y * kTile < bounds.y + bounds.height; ++y) {
      for (int x = bounds.x / kTile; x * kTile < bounds.x + bounds.width; ++x) {
        std::uint64_t& tile = now[static_cast<std::size_t>(y * across + x)];
        tile = mixed(tile, hash);
        if (picture != nullptr)
          tile = mixed(tile, hash_of(*picture, one, common({x * kTile, y * kTile, kTile, kTile}, bounds)));
      }
    }
  }
  const bool all = before_.size() != now.size() || width != width_ || height != height_ || background != background_;
  width_ = width, height_ = height, background_ = background;
  before_.swap(now);  // `now` holds the last frame's
  if (all) return {window};
  std::vector<PixelRect> rects = runs(before_, now, across);
  if (rects.size() > kMostRectangles) {
    PixelRect hull = rects[0];
    for (const PixelRect& rect : rects) hull = around(hull, rect);
    rects = {hull};
  }
  join(rects);
  for (PixelRect& rect : rects) rect = common(rect, window);
  return rects;
}

}  // namespace orrery::viewer::draw
