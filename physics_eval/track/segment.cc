#include "physics_eval/track/segment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "physics_eval/track/discs.h"
#include "physics_eval/track/thick.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr int kBins = 48, kLightBins = 32;
constexpr double kGreyRadius = 0.14;

}  // namespace

// Weak pixels that hang together with enough strong ones; holes inside them filled.
std::vector<std::uint8_t> foreground_mask(const Frame& frame, const Background& background) {
  const int width = frame.width(), height = frame.height();
  const int low2 = static_cast<int>(background.low * background.low);
  const int high2 = static_cast<int>(background.high * background.high);
  const auto a = frame.bytes(), b = background.picture.bytes();
  std::vector<std::uint8_t> mask(a.size() / 3), strong(mask.size());
  for (Size i = 0; i < mask.size(); ++i) {
    const int d2 = pixel_distance2(&a[3 * i], &b[3 * i]);
    mask[i] = d2 > low2;
    strong[i] = d2 > high2;
  }
  for (const Region& region : find_regions(mask, width, height)) {
    int count = 0;
    for (const Run& run : region.runs) {
      for (int x = run.x0; x < run.x1; ++x) count += strong[static_cast<Size>(run.y * width + x)];
    }
    if (count * 4 >= region.pixels && count >= 2) continue;
    for (const Run& run : region.runs) {
      for (int x = run.x0; x < run.x1; ++x) mask[static_cast<Size>(run.y * width + x)] = 0;
    }
  }
  std::vector<std::uint8_t> holes(mask.size());
  for (Size i = 0; i < mask.size(); ++i) holes[i] = !mask[i];
  for (const Region& region : find_regions(holes, width, height)) {
    const bool open = region.min_x == 0 || region.min_y == 0 || region.max_x == width - 1 || region.max_y == height - 1;
    if (open || region.pixels > 40) continue;  // a larger hole is background seen through a ring of bodies
    for (const Run& run : region.runs) {
      for (int x = run.x0; x < run.x1; ++x) mask[static_cast<Size>(run.y * width + x)] = 1;
    }
  }
  return mask;
}

namespace {

bool inner(const std::vector<std::uint8_t>& mask, int width, int height, int x, int y) {
  const Size at = static_cast<Size>(y * width + x), row = static_cast<Size>(width);
  return mask[at] && (x == 0 || mask[at - 1]) && (x == width - 1 || mask[at + 1]) && (y == 0 || mask[at - row]) &&
         (y == height - 1 || mask[at + row]);
}

double lightness(const std::uint8_t* p) { return (p[0] + p[1] + p[2]) / 765.0; }

int nearest_label(const std::vector<PaletteColour>& palette, const std::uint8_t* p) {
  const Chroma c = chroma(p[0], p[1], p[2]);
  int best = 0;
  double best_distance = 1e9;
  for (Size k = 0; k < palette.size(); ++k) {
    double d = chroma_distance2(c, palette[k].chroma);
    if (palette[k].grey) {  // among greys lightness decides
      const double l = lightness(p) - palette[k].lightness;
      d += 1e-3 * l * l;
    }
    if (d < best_distance) best_distance = d, best = static_cast<int>(k) + 1;
  }
  return best;
}

// Inner pixels take the nearest colour of the palette; border pixels, mixed with the background, the label of the inner
// neighbours, ring by ring.
std::vector<std::uint8_t> label_pixels(const Frame& frame, const std::vector<std::uint8_t>& mask,
                                       const std::vector<PaletteColour>& palette) {
  const int width = frame.width(), height = frame.height();
  std::vector<std::uint8_t> label(mask.size(), 0);
  std::vector<int> todo;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Size at = static_cast<Size>(y * width + x);
      if (!mask[at]) continue;
      if (inner(mask, width, height, x, y)) {
        label[at] = static_cast<std::uint8_t>(nearest_label(palette, frame.at(x, y)));
      } else {
        todo.push_back(static_cast<int>(at));
      }
    }
  }
  for (int ring = 0; ring < 3 && !todo.empty(); ++ring) {
    std::vector<int> later;
    std::vector<std::pair<int, std::uint8_t>> found;
    for (const int p : todo) {
      const int x = p % width, y = p / width;
      std::array<int, 16> votes{};
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          const int nx = x + dx, ny = y + dy;
          if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
          const std::uint8_t l = label[static_cast<Size>(ny * width + nx)];
          if (l) votes[l] += dx == 0 || dy == 0 ? 2 : 1;
        }
      }
      const auto best = std::max_element(votes.begin(), votes.end());
      if (*best == 0) {
        later.push_back(p);
      } else {
        found.emplace_back(p, static_cast<std::uint8_t>(best - votes.begin()));
      }
    }
    for (const auto& [p, l] : found) label[static_cast<Size>(p)] = l;
    todo = std::move(later);
  }
  for (const int p : todo)
    label[static_cast<Size>(p)] = static_cast<std::uint8_t>(nearest_label(palette, frame.at(p % width, p / width)));
  return label;
}

// A region that is mostly enclosed by another (a highlight, a mark on a ball, a fringe of mixed colour) takes its
// label.
void absorb_enclosed(std::vector<std::uint8_t>& label, int width, int height) {
  const std::vector<Region> regions = find_regions(label, width, height);
  if (regions.size() < 2) return;
  std::vector<int> owner(label.size(), -1);
  for (Size i = 0; i < regions.size(); ++i) {
    for (const Run& run : regions[i].runs) {
      for (int x = run.x0; x < run.x1; ++x) owner[static_cast<Size>(run.y * width + x)] = static_cast<int>(i);
    }
  }
  for (Size i = 0; i < regions.size(); ++i) {
    std::vector<int> shared(regions.size(), 0);
    int contour = 0;
    const auto look = [&](int x, int y) {
      ++contour;
      if (x < 0 || y < 0 || x >= width || y >= height) return;
      const int o = owner[static_cast<Size>(y * width + x)];
      if (o >= 0) ++shared[static_cast<Size>(o)];
    };
    for (const Run& run : regions[i].runs) {
      look(run.x0 - 1, run.y);
      look(run.x1, run.y);
      for (int x = run.x0; x < run.x1; ++x) {
        for (const int dy : {-1, 1}) {
          const int y = run.y + dy;
          if (y < 0 || y >= height || owner[static_cast<Size>(y * width + x)] != static_cast<int>(i)) look(x, y);
        }
      }
    }
    const Size best = static_cast<Size>(std::max_element(shared.begin(), shared.end()) - shared.begin());
    const bool tiny = regions[i].pixels * 8 < regions[best].pixels;
    if (best == i || regions[best].pixels < regions[i].pixels) continue;
    if (shared[best] * 10 < contour * (tiny ? 3 : 5)) continue;
    for (const Run& run : regions[i].runs) {
      for (int x = run.x0; x < run.x1; ++x) label[static_cast<Size>(run.y * width + x)] = regions[best].label;
    }
  }
}

struct Sums {
  double w = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
  void add(double weight, double px, double py) {
    w += weight, x += weight * px, y += weight * py;
    xx += weight * px * px, xy += weight * px * py, yy += weight * py * py;
  }
};

// Mean colour of the pixels that have all eight neighbours in the set, or of all when none has.
TrackColour inner_colour(const std::vector<Run>& runs, const std::vector<std::uint8_t>& inside, const Frame& frame) {
  const int width = frame.width(), height = frame.height();
  double sum[3] = {0, 0, 0}, all[3] = {0, 0, 0};
  int count = 0, total = 0;
  for (const Run& run : runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      bool deep = x > 0 && run.y > 0 && x + 1 < width && run.y + 1 < height;
      for (int dy = -1; deep && dy <= 1; ++dy) {
        for (int dx = -1; deep && dx <= 1; ++dx) deep = inside[static_cast<Size>((run.y + dy) * width + x + dx)];
      }
      const std::uint8_t* p = frame.at(x, run.y);
      for (int c = 0; c < 3; ++c) {
        all[c] += p[c];
        if (deep) sum[c] += p[c];
      }
      ++total;
      count += deep;
    }
  }
  const double* use = count ? sum : all;
  const double n = count ? count : std::max(1, total);
  return {use[0] / n, use[1] / n, use[2] / n};
}

// Mean colour of the inner pixels of the set within two pixels of (x, y): what a border pixel is mixed from.
TrackColour local_colour(const Frame& frame, const std::vector<std::uint8_t>& inside, int x, int y,
                         const TrackColour& otherwise) {
  const int width = frame.width(), height = frame.height();
  double sum[3] = {0, 0, 0};
  int count = 0;
  for (int ny = std::max(0, y - 2); ny <= std::min(height - 1, y + 2); ++ny) {
    for (int nx = std::max(0, x - 2); nx <= std::min(width - 1, x + 2); ++nx) {
      if (inside[static_cast<Size>(ny * width + nx)] != 2) continue;
      const std::uint8_t* p = frame.at(nx, ny);
      for (int c = 0; c < 3; ++c) sum[c] += p[c];
      ++count;
    }
  }
  if (!count) return otherwise;
  return {sum[0] / count, sum[1] / count, sum[2] / count};
}

double coverage(const std::uint8_t* pixel, const std::uint8_t* base, const TrackColour& full) {
  const double d[3] = {full.r - base[0], full.g - base[1], full.b - base[2]};
  const double dot = d[0] * (pixel[0] - base[0]) + d[1] * (pixel[1] - base[1]) + d[2] * (pixel[2] - base[2]);
  const double norm = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
  return norm > 1 ? std::clamp(dot / norm, 0.0, 1.0) : 1.0;
}

// Lightness that a fifth of the pixels exceed: a shaded white ball is white there, not grey.
double brightest(const std::vector<Run>& runs, const Frame& frame) {
  std::array<int, 64> histogram{};
  int total = 0;
  for (const Run& run : runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      const std::uint8_t* p = frame.at(x, run.y);
      ++histogram[static_cast<Size>((p[0] + p[1] + p[2]) / 12)];
      ++total;
    }
  }
  int above = 0;
  for (int i = 63; i >= 0; --i) {
    above += histogram[static_cast<Size>(i)];
    if (above * 5 >= total) return (i * 4 + 2) / 255.0;
  }
  return 0;
}

bool is_greyish(const Region& region, const Frame& frame) {
  double sum[3] = {0, 0, 0};
  for (const Run& run : region.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      for (int c = 0; c < 3; ++c) sum[c] += frame.at(x, run.y)[c];
    }
  }
  const Chroma c = chroma(sum[0] / region.pixels, sum[1] / region.pixels, sum[2] / region.pixels);
  return c.u * c.u + c.v * c.v < 0.25 * 0.25;
}

// What `all` has beyond `kept`, as runs; both in raster order.
void add_difference(const std::vector<Run>& all, const std::vector<Run>& kept, std::vector<LineRun>& out) {
  Size k = 0;
  for (const Run& run : all) {
    int x = run.x0;
    while (k < kept.size() && (kept[k].y < run.y || (kept[k].y == run.y && kept[k].x1 <= run.x0))) ++k;
    for (Size j = k; j < kept.size() && kept[j].y == run.y && kept[j].x0 < run.x1; ++j) {
      if (kept[j].x0 > x + 1) out.push_back({run.y, x, kept[j].x0});  // a single pixel is the outline's roughness
      x = kept[j].x1;
    }
    if (run.x1 > x + 1) out.push_back({run.y, x, run.x1});
  }
}

// Measures the runs. scratch is zero, of the picture's size, and left zero; mask: the frame's foreground (a pixel on
// its edge is mixed with the background, one on the edge to another body is not).
Segment measure(std::vector<Run> runs, const Frame& frame, const Background& background,
                const std::vector<std::uint8_t>* mask, std::vector<std::uint8_t>& scratch) {
  const int width = frame.width(), height = frame.height();
  Segment out;
  out.runs = std::move(runs);
  for (const Run& run : out.runs) {
    for (int x = run.x0; x < run.x1; ++x) scratch[static_cast<Size>(run.y * width + x)] = 1;
    out.cut = out.cut || run.y == 0 || run.y == height - 1 || run.x0 == 0 || run.x1 == width;
  }
  const std::vector<std::uint8_t>& whole = mask ? *mask : scratch;
  const auto edge = [&](int x, int y) {
    for (int ny = y - 1; ny <= y + 1; ++ny) {
      for (int nx = x - 1; nx <= x + 1; ++nx) {
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        if (!whole[static_cast<Size>(ny * width + nx)]) return true;
      }
    }
    return false;
  };
  for (const Run& run : out.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      if (!edge(x, run.y)) scratch[static_cast<Size>(run.y * width + x)] = 2;
    }
  }
  out.colour = inner_colour(out.runs, scratch, frame);
  int contour = 0, beside = 0;
  for (const Run& run : out.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      for (const auto& [nx, ny] : {std::pair{x - 1, run.y}, {x + 1, run.y}, {x, run.y - 1}, {x, run.y + 1}}) {
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        const Size at = static_cast<Size>(ny * width + nx);
        contour += !scratch[at], beside += whole[at] && !scratch[at];
      }
    }
  }
  out.adjoins = beside > std::max(2, contour / 10);
  Sums sums;
  double contrast = 0;
  int pixels = 0;
  for (const Run& run : out.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      const std::uint8_t *p = frame.at(x, run.y), *b = background.picture.at(x, run.y);
      double weight = 1;
      if (scratch[static_cast<Size>(run.y * width + x)] == 1) {
        weight = coverage(p, b, local_colour(frame, scratch, x, run.y, out.colour));
      }
      sums.add(weight, x + 0.5, run.y + 0.5);
      contrast += std::sqrt(static_cast<double>(pixel_distance2(p, b)));
      ++pixels;
    }
  }
  for (const Run& run : out.runs) {
    for (int x = run.x0; x < run.x1; ++x) scratch[static_cast<Size>(run.y * width + x)] = 0;
  }
  if (sums.w <= 0) return out;
  out.area = sums.w;
  out.x = sums.x / sums.w, out.y = sums.y / sums.w;
  out.xx = sums.xx / sums.w - out.x * out.x;
  out.xy = sums.xy / sums.w - out.x * out.y;
  out.yy = sums.yy / sums.w - out.y * out.y;
  out.contrast = contrast / pixels;
  out.brightness = brightest(out.runs, frame);
  return out;
}

}  // namespace

namespace {

struct ColourCounts {
  std::vector<double> chroma = std::vector<double>(kBins * kBins, 0);
  std::vector<double> grey_lightness = std::vector<double>(kLightBins, 0);
  double total = 0;
};

int chroma_bin(double value) { return std::clamp(static_cast<int>((value + 1) * kBins / 2), 0, kBins - 1); }

ColourCounts count_colours(std::span<const Frame> frames, const Background& background) {
  ColourCounts out;
  const int width = background.picture.width(), height = background.picture.height();
  for (const int t : spread_indices(static_cast<int>(frames.size()), 24)) {
    const Frame& frame = frames[static_cast<Size>(t)];
    const std::vector<std::uint8_t> mask = foreground_mask(frame, background);
    for (int y = 1; y + 1 < height; ++y) {
      for (int x = 1; x + 1 < width; ++x) {
        if (!mask[static_cast<Size>(y * width + x)] || !inner(mask, width, height, x, y)) continue;
        const std::uint8_t* p = frame.at(x, y);
        const Chroma c = chroma(p[0], p[1], p[2]);
        out.chroma[static_cast<Size>(chroma_bin(c.u) * kBins + chroma_bin(c.v))] += 1;
        if (c.u * c.u + c.v * c.v < kGreyRadius * kGreyRadius) {
          out.grey_lightness[static_cast<Size>(
              std::min(kLightBins - 1, static_cast<int>(lightness(p) * kLightBins)))] += 1;
        }
        out.total += 1;
      }
    }
  }
  return out;
}

std::vector<double> smoothed(const std::vector<double>& histogram) {
  std::vector<double> out(histogram.size(), 0);
  for (int i = 0; i < kBins; ++i) {
    for (int j = 0; j < kBins; ++j) {
      for (int a = std::max(0, i - 2); a <= std::min(kBins - 1, i + 2); ++a) {
        for (int b = std::max(0, j - 2); b <= std::min(kBins - 1, j + 2); ++b) {
          out[static_cast<Size>(i * kBins + j)] +=
              histogram[static_cast<Size>(a * kBins + b)] * std::exp(-0.5 * ((a - i) * (a - i) + (b - j) * (b - j)));
        }
      }
    }
  }
  return out;
}

// Peaks of the lightness of greys far apart: black and white. Nearer ones are one body's shading.
std::vector<PaletteColour> grey_peaks(const std::vector<double>& histogram, double least) {
  std::vector<PaletteColour> out;
  std::vector<double> smooth(histogram.size(), 0);
  for (int i = 0; i < kLightBins; ++i) {
    for (int a = std::max(0, i - 2); a <= std::min(kLightBins - 1, i + 2); ++a) {
      smooth[static_cast<Size>(i)] += histogram[static_cast<Size>(a)] * std::exp(-0.5 * (a - i) * (a - i));
    }
  }
  std::vector<int> order(smooth.size());
  for (Size i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return smooth[static_cast<Size>(a)] > smooth[static_cast<Size>(b)]; });
  for (const int i : order) {
    if (smooth[static_cast<Size>(i)] < least || out.size() == 3) break;
    const double l = (i + 0.5) / kLightBins;
    const bool apart =
        std::all_of(out.begin(), out.end(), [&](const PaletteColour& o) { return std::abs(o.lightness - l) > 0.45; });
    if (apart) out.push_back({{0, 0}, true, l});
  }
  return out;
}

}  // namespace

std::vector<PaletteColour> find_palette(std::span<const Frame> frames, const Background& background) {
  const ColourCounts counts = count_colours(frames, background);
  const std::vector<double> smooth = smoothed(counts.chroma);
  // Peaks, greatest first, each at least 0.16 from those before it and with 1.5% of the mass.
  std::vector<PaletteColour> palette;
  std::vector<int> order(smooth.size());
  for (Size i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return smooth[static_cast<Size>(a)] > smooth[static_cast<Size>(b)]; });
  for (const int p : order) {
    const int i = p / kBins, j = p % kBins;
    const double here = smooth[static_cast<Size>(p)];
    if (here < 0.015 * counts.total || here <= 0 || palette.size() >= 11) break;
    bool peak = true;
    for (int a = std::max(0, i - 2); a <= std::min(kBins - 1, i + 2); ++a) {
      for (int b = std::max(0, j - 2); b <= std::min(kBins - 1, j + 2); ++b)
        peak = peak && smooth[static_cast<Size>(a * kBins + b)] <= here;
    }
    const Chroma c{(i + 0.5) * 2 / kBins - 1, (j + 0.5) * 2 / kBins - 1};
    for (const PaletteColour& other : palette) peak = peak && chroma_distance2(c, other.chroma) > 0.16 * 0.16;
    if (!peak) continue;
    if (c.u * c.u + c.v * c.v < kGreyRadius * kGreyRadius) {
      for (const PaletteColour& grey : grey_peaks(counts.grey_lightness, 0.01 * counts.total)) palette.push_back(grey);
    } else {
      palette.push_back({c, false, 0});
    }
  }
  if (palette.empty()) palette.push_back({});
  return palette;
}

namespace {

// Balls of one colour that touch: a segment each. False when it is one body, or no balls.
bool split_touching(const Segment& segment, const Frame& frame, const Background& background,
                    std::vector<Segment>& out) {
  if (segment.cut || 6.2831853 * (segment.xx + segment.yy) < 1.12 * segment.area) return false;
  const std::vector<Disc> discs = touching_discs(segment.runs);
  if (discs.size() < 2) return false;
  std::vector<Segment> parts = split_segment(segment, frame, background, discs);
  for (Size k = 0; k < parts.size(); ++k) {  // each a disc, or the guess was wrong
    if (parts[k].area < 0.7 * 3.14159265 * discs[k].radius * discs[k].radius) return false;
    if (6.2831853 * (parts[k].xx + parts[k].yy) > 1.1 * parts[k].area) return false;
  }
  for (Segment& part : parts) out.push_back(std::move(part));
  return true;
}

}  // namespace

FrameContent find_segments(const Frame& frame, const Background& background, const std::vector<PaletteColour>& palette,
                           double smallest_area, bool thin_bodies) {
  const int width = frame.width(), height = frame.height();
  const std::vector<std::uint8_t> mask = foreground_mask(frame, background);
  std::vector<std::uint8_t> label = label_pixels(frame, mask, palette);
  absorb_enclosed(label, width, height);
  absorb_enclosed(label, width, height);
  FrameContent out;
  std::vector<std::uint8_t> scratch(mask.size(), 0);
  std::int64_t covered = 0;
  for (const std::uint8_t m : mask) covered += m;
  out.foreground = static_cast<double>(covered) / static_cast<double>(mask.size());
  for (Region& region : find_regions(label, width, height)) {
    if (region.pixels < smallest_area) continue;
    const int name = region.label;
    std::vector<Run> thick = thick_part(region);
    if (thick.empty() && !thin_bodies && is_greyish(region, frame)) {  // a rod, a string, a spring
      for (const Run& run : region.runs) out.lines.push_back({run.y, run.x0, run.x1});
      continue;
    }
    if (!thick.empty()) {
      add_difference(region.runs, thick, out.lines);
      region.runs = std::move(thick);
    }
    Segment segment = measure(std::move(region.runs), frame, background, &mask, scratch);
    segment.label = name;
    if (segment.area < smallest_area) continue;
    if (!split_touching(segment, frame, background, out.segments)) out.segments.push_back(std::move(segment));
  }
  return out;
}

std::vector<Segment> split_segment(const Segment& segment, const Frame& frame, const Background& background,
                                   std::vector<Disc> discs) {
  std::vector<Segment> parts(discs.size());
  std::vector<std::uint8_t> mask(frame.bytes().size() / 3, 0), scratch(mask.size(), 0);
  for (const Run& run : segment.runs) {
    for (int x = run.x0; x < run.x1; ++x) mask[static_cast<Size>(run.y * frame.width() + x)] = 1;
  }
  for (int round = 0; round < 6; ++round) {
    std::vector<std::vector<Run>> runs(discs.size());
    for (const Run& run : segment.runs) {
      for (int x = run.x0; x < run.x1; ++x) {
        Size best = 0;
        double best_power = 1e18;
        for (Size k = 0; k < discs.size(); ++k) {
          const double dx = x + 0.5 - discs[k].x, dy = run.y + 0.5 - discs[k].y;
          const double power = dx * dx + dy * dy - discs[k].radius * discs[k].radius;
          if (power < best_power) best_power = power, best = k;
        }
        auto& mine = runs[best];
        if (!mine.empty() && mine.back().y == run.y && mine.back().x1 == x) {
          ++mine.back().x1;
        } else {
          mine.push_back({run.y, x, x + 1});
        }
      }
    }
    double moved = 0;
    for (Size k = 0; k < discs.size(); ++k) {
      if (runs[k].empty()) {
        parts[k] = {};
        continue;
      }
      parts[k] = measure(std::move(runs[k]), frame, background, &mask, scratch);
      parts[k].label = segment.label;
      moved = std::max({moved, std::abs(parts[k].x - discs[k].x), std::abs(parts[k].y - discs[k].y)});
      discs[k].x = parts[k].x, discs[k].y = parts[k].y;
    }
    if (moved < 0.02) break;
  }
  return parts;
}

std::size_t CoverageMap::index(int x, int y) const {
  return static_cast<Size>(y - top) * static_cast<Size>(width) + static_cast<Size>(x - left);
}

CoverageMap coverage_map(std::span<const Segment* const> parts, const std::vector<std::uint8_t>& mask,
                         const Frame& frame, const Background& background) {
  const int width = frame.width(), height = frame.height();
  CoverageMap map;
  int right = 0, bottom = 0;
  map.left = width, map.top = height;
  std::vector<std::uint8_t> own(frame.bytes().size() / 3, 0);
  for (Size k = 0; k < parts.size(); ++k) {
    for (const Run& run : parts[k]->runs) {
      map.left = std::min(map.left, run.x0), right = std::max(right, run.x1);
      map.top = std::min(map.top, run.y), bottom = std::max(bottom, run.y + 1);
      std::fill_n(own.begin() + run.y * width + run.x0, run.x1 - run.x0, static_cast<std::uint8_t>(k + 1));
    }
  }
  map.left = std::max(0, map.left - 2), map.top = std::max(0, map.top - 2);
  map.width = std::min(width, right + 2) - map.left, map.height = std::min(height, bottom + 2) - map.top;
  map.value.assign(static_cast<Size>(map.width) * static_cast<Size>(map.height), 0);
  map.known.assign(map.value.size(), 1);
  for (int y = map.top; y < map.top + map.height; ++y) {
    for (int x = map.left; x < map.left + map.width; ++x) {
      const Size at = static_cast<Size>(y * width + x), i = map.index(x, y);
      if (!own[at]) {
        map.known[i] = !mask[at];
        continue;
      }
      bool another = false, stranger = false, bare = false;
      for (const auto& [nx, ny] : {std::pair{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}}) {
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        const Size beside = static_cast<Size>(ny * width + nx);
        another = another || own[beside] != own[at];
        stranger = stranger || (mask[beside] && !own[beside]);
        bare = bare || !mask[beside];
      }
      const bool mixed = another && !bare && !stranger;  // of two of the parts: all of it is covered
      map.known[i] = !stranger;
      map.value[i] = mixed ? 1
                           : static_cast<float>(coverage(frame.at(x, y), background.picture.at(x, y),
                                                         parts[own[at] - Size{1}]->colour));
    }
  }
  return map;
}

}  // namespace orrery::tracking
