#include "physics_eval/track/background.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <queue>

#include "core/base/parallel.h"
#include "physics_eval/track/colour.h"
#include "physics_eval/track/regions.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr int kSamples = 41;

std::uint8_t median_byte(std::uint8_t* values, int count) {
  std::nth_element(values, values + count / 2, values + count);
  return values[count / 2];
}

Frame temporal_median(std::span<const Frame> frames, const std::vector<int>& samples) {
  const int width = frames[0].width(), height = frames[0].height();
  Frame out(width, height);
  parallel_for(height, 8, [&](std::int64_t begin, std::int64_t end) {
    std::uint8_t values[kSamples];
    for (std::int64_t y = begin; y < end; ++y) {
      for (Size i = 0; i < static_cast<Size>(width) * 3; ++i) {
        int count = 0;
        for (const int t : samples) values[count++] = frames[static_cast<Size>(t)].row(static_cast<int>(y))[i];
        out.row(static_cast<int>(y))[i] = median_byte(values, count);
      }
    }
  });
  return out;
}

// A value that a pixel shows in a share of the samples.
struct Candidate {
  int sum[3] = {0, 0, 0};
  int count = 0;
  std::array<std::uint8_t, 3> value() const {
    return {static_cast<std::uint8_t>((sum[0] + count / 2) / count),
            static_cast<std::uint8_t>((sum[1] + count / 2) / count),
            static_cast<std::uint8_t>((sum[2] + count / 2) / count)};
  }
};

std::vector<Candidate> candidates(std::span<const Frame> frames, const std::vector<int>& samples, Size pixel) {
  std::vector<Candidate> out;
  for (const int t : samples) {
    const std::uint8_t* p = &frames[static_cast<Size>(t)].bytes()[3 * pixel];
    Candidate* home = nullptr;
    for (Candidate& c : out) {
      const auto value = c.value();
      if (pixel_distance2(value.data(), p) < 26 * 26) {
        home = &c;
        break;
      }
    }
    if (!home) home = &out.emplace_back();
    for (int c = 0; c < 3; ++c) home->sum[c] += p[c];
    ++home->count;
  }
  return out;
}

std::vector<std::uint8_t> busy_pixels(std::span<const Frame> frames, const std::vector<int>& samples,
                                      const Frame& picture) {
  const int width = picture.width(), height = picture.height();
  std::vector<std::uint8_t> busy(static_cast<Size>(width) * static_cast<Size>(height), 0);
  parallel_for(height, 8, [&](std::int64_t begin, std::int64_t end) {
    for (Size i = static_cast<Size>(begin * width); i < static_cast<Size>(end * width); ++i) {
      int near = 0;
      for (const int t : samples) {
        near += pixel_distance2(&frames[static_cast<Size>(t)].bytes()[3 * i], &picture.bytes()[3 * i]) < 30 * 30;
      }
      busy[i] = near * 100 < 85 * static_cast<int>(samples.size());
    }
  });
  return busy;
}

struct Choice {
  double cost;
  int pixel;
  std::array<std::uint8_t, 3> value;
  bool operator>(const Choice& other) const { return cost != other.cost ? cost > other.cost : pixel > other.pixel; }
};

// The candidate most like a decided neighbour, and a little the most frequent.
Choice best_choice(const std::vector<Candidate>& options, const Frame& picture, const std::vector<std::uint8_t>& busy,
                   int pixel, int samples) {
  const int width = picture.width(), height = picture.height(), x = pixel % width, y = pixel / width;
  Choice best{1e9, pixel, {}};
  for (const Candidate& c : options) {
    const auto value = c.value();
    int nearest = 1 << 30;
    for (int ny = std::max(0, y - 1); ny <= std::min(height - 1, y + 1); ++ny) {
      for (int nx = std::max(0, x - 1); nx <= std::min(width - 1, x + 1); ++nx) {
        if (!busy[static_cast<Size>(ny * width + nx)])
          nearest = std::min(nearest, pixel_distance2(value.data(), picture.at(nx, ny)));
      }
    }
    const double cost = std::sqrt(static_cast<double>(nearest)) - 30.0 * c.count / samples;
    if (cost < best.cost) best.cost = cost, best.value = value;
  }
  return best;
}

// Pixels that one value does not explain are decided in the order of how well one of their values fits what is decided
// around them: where several bodies pass in turn, the bare background need not be what a pixel shows most often.
void settle_busy(std::span<const Frame> frames, const std::vector<int>& samples, Frame& picture) {
  const int width = picture.width(), height = picture.height();
  std::vector<std::uint8_t> busy = busy_pixels(frames, samples, picture);
  std::vector<int> todo;
  std::vector<int> place(busy.size(), -1);
  for (int i = 0; i < width * height; ++i) {
    if (!busy[static_cast<Size>(i)]) continue;
    place[static_cast<Size>(i)] = static_cast<int>(todo.size());
    todo.push_back(i);
  }
  if (todo.size() == busy.size()) return;
  std::vector<std::vector<Candidate>> options(todo.size());
  parallel_for(static_cast<std::int64_t>(todo.size()), 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      options[static_cast<Size>(k)] = candidates(frames, samples, static_cast<Size>(todo[static_cast<Size>(k)]));
    }
  });
  const int count = static_cast<int>(samples.size());
  std::priority_queue<Choice, std::vector<Choice>, std::greater<>> queue;
  const auto offer = [&](int pixel) {
    const Choice choice =
        best_choice(options[static_cast<Size>(place[static_cast<Size>(pixel)])], picture, busy, pixel, count);
    if (choice.cost < 1e4) queue.push(choice);
  };
  for (const int i : todo) offer(i);
  while (!queue.empty()) {
    const Choice choice = queue.top();
    queue.pop();
    const int x = choice.pixel % width, y = choice.pixel / width;
    if (!busy[static_cast<Size>(choice.pixel)]) continue;
    std::copy_n(choice.value.begin(), 3, picture.at(x, y));
    busy[static_cast<Size>(choice.pixel)] = 0;
    for (int ny = std::max(0, y - 1); ny <= std::min(height - 1, y + 1); ++ny) {
      for (int nx = std::max(0, x - 1); nx <= std::min(width - 1, x + 1); ++nx) {
        if (busy[static_cast<Size>(ny * width + nx)]) offer(ny * width + nx);
      }
    }
  }
}

// Standard deviation of a channel around the background, from the median of the absolute differences over pixels that
// differ little; 8-bit rounding alone gives 0.3.
double estimate_noise(std::span<const Frame> frames, const std::vector<int>& samples, const Frame& picture) {
  std::vector<std::int64_t> histogram(256, 0);
  std::int64_t count = 0;
  for (Size k = 0; k < samples.size(); k += 3) {
    const auto bytes = frames[static_cast<Size>(samples[k])].bytes();
    const auto base = picture.bytes();
    for (Size i = 0; i < bytes.size(); i += 7) {
      const int d = std::abs(bytes[i] - base[i]);
      if (d < 48) ++histogram[static_cast<Size>(d)], ++count;
    }
  }
  // Half-normal: 68% lie within one standard deviation; interpolate within the byte.
  const double wanted = 0.6827 * static_cast<double>(count);
  double seen = 0;
  for (Size d = 0; d < 48; ++d) {
    const double here = static_cast<double>(histogram[d]);
    if (seen + here >= wanted) {
      const double low = d == 0 ? 0 : static_cast<double>(d) - 0.5;
      return std::max(0.3, low + (static_cast<double>(d) + 0.5 - low) * (wanted - seen) / std::max(1.0, here));
    }
    seen += here;
  }
  return 16;
}

void set_thresholds(Background& background) {
  const double spread = background.noise * std::sqrt(3.0);
  background.low = std::clamp(5 * spread, 16.0, 60.0);
  background.high = std::clamp(9 * spread, 36.0, 90.0);
}

std::vector<std::uint8_t> difference_mask(const Frame& frame, const Background& background) {
  const int low2 = static_cast<int>(background.low * background.low);
  const auto a = frame.bytes(), b = background.picture.bytes();
  std::vector<std::uint8_t> mask(a.size() / 3);
  for (Size i = 0; i < mask.size(); ++i) mask[i] = pixel_distance2(&a[3 * i], &b[3 * i]) > low2;
  return mask;
}

// Colour step across the region's contour in the frame, and in the background: a body has its edge in the frame, a bare
// place where the background wrongly shows a body has it in the background.
struct Contour {
  double in_frame = 0, in_background = 0;
};

Contour contour_steps(const Region& region, const std::vector<std::uint8_t>& mask, const Frame& frame,
                      const Frame& picture) {
  const int width = frame.width(), height = frame.height();
  Contour out;
  int count = 0;
  const auto step = [&](int x, int y, int dx, int dy) {
    const int ox = x + 2 * dx, oy = y + 2 * dy, ix = x - dx, iy = y - dy;
    if (ox < 0 || oy < 0 || ox >= width || oy >= height || ix < 0 || iy < 0 || ix >= width || iy >= height) return;
    if (mask[static_cast<Size>(oy) * static_cast<Size>(width) + static_cast<Size>(ox)]) return;
    out.in_frame += std::sqrt(static_cast<double>(pixel_distance2(frame.at(ix, iy), frame.at(ox, oy))));
    out.in_background += std::sqrt(static_cast<double>(pixel_distance2(picture.at(ix, iy), picture.at(ox, oy))));
    ++count;
  };
  for (const Run& run : region.runs) {
    step(run.x0, run.y, -1, 0);
    step(run.x1 - 1, run.y, 1, 0);
  }
  for (const Run& run : region.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      const Size at = static_cast<Size>(run.y) * static_cast<Size>(width) + static_cast<Size>(x);
      if (run.y > 0 && !mask[at - static_cast<Size>(width)]) step(x, run.y, 0, -1);
      if (run.y + 1 < height && !mask[at + static_cast<Size>(width)]) step(x, run.y, 0, 1);
    }
  }
  if (count) out.in_frame /= count, out.in_background /= count;
  return out;
}

void mark_dilated(const Region& region, int width, int height, int grow, std::uint64_t bit,
                  std::vector<std::uint64_t>& marks) {
  for (const Run& run : region.runs) {
    for (int y = std::max(0, run.y - grow); y <= std::min(height - 1, run.y + grow); ++y) {
      for (int x = std::max(0, run.x0 - grow); x < std::min(width, run.x1 + grow); ++x) {
        marks[static_cast<Size>(y) * static_cast<Size>(width) + static_cast<Size>(x)] |= bit;
      }
    }
  }
}

// Gives places where a body rested for most of the clip back to the background; true when any pixel changed.
bool repair_ghosts(std::span<const Frame> frames, const std::vector<int>& samples, Background& background) {
  const int width = frames[0].width(), height = frames[0].height();
  std::vector<std::vector<Region>> ghosts(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const Frame& frame = frames[static_cast<Size>(samples[static_cast<Size>(k)])];
      const std::vector<std::uint8_t> mask = difference_mask(frame, background);
      for (Region& region : find_regions(mask, width, height)) {
        if (region.pixels < 9) continue;
        const Contour contour = contour_steps(region, mask, frame, background.picture);
        if (contour.in_background > 1.6 * contour.in_frame + 4)
          ghosts[static_cast<Size>(k)].push_back(std::move(region));
      }
    }
  });
  std::vector<std::uint64_t> marks(static_cast<Size>(width) * static_cast<Size>(height), 0);
  bool any = false;
  for (Size k = 0; k < samples.size(); ++k) {
    for (const Region& region : ghosts[k]) {
      mark_dilated(region, width, height, 1, std::uint64_t{1} << k, marks);
      any = true;
    }
  }
  if (!any) return false;
  std::uint8_t values[kSamples];
  for (Size i = 0; i < marks.size(); ++i) {
    if (!marks[i]) continue;
    for (Size c = 0; c < 3; ++c) {
      int count = 0;
      for (Size k = 0; k < samples.size(); ++k) {
        if (marks[i] >> k & 1) values[count++] = frames[static_cast<Size>(samples[k])].bytes()[3 * i + c];
      }
      background.picture.bytes()[3 * i + c] = median_byte(values, count);
    }
  }
  return true;
}

// Labels of a picture's smooth regions: neighbours less than `step` apart belong together. 0 is never used.
std::vector<std::int32_t> smooth_regions(const Frame& picture, double step, std::vector<int>& sizes) {
  const int width = picture.width(), height = picture.height();
  const int step2 = static_cast<int>(step * step);
  std::vector<std::int32_t> label(static_cast<Size>(width) * static_cast<Size>(height), -1);
  std::vector<int> stack;
  sizes.clear();
  for (int start = 0; start < width * height; ++start) {
    if (label[static_cast<Size>(start)] >= 0) continue;
    const std::int32_t id = static_cast<std::int32_t>(sizes.size());
    sizes.push_back(0);
    stack.assign(1, start);
    label[static_cast<Size>(start)] = id;
    while (!stack.empty()) {
      const int p = stack.back(), x = p % width, y = p / width;
      stack.pop_back();
      ++sizes.back();
      const int next[4][2] = {{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}};
      for (const auto& n : next) {
        if (n[0] < 0 || n[1] < 0 || n[0] >= width || n[1] >= height) continue;
        const int q = n[1] * width + n[0];
        if (label[static_cast<Size>(q)] >= 0) continue;
        if (pixel_distance2(picture.at(x, y), picture.at(n[0], n[1])) > step2) continue;
        label[static_cast<Size>(q)] = id;
        stack.push_back(q);
      }
    }
  }
  return label;
}

// Paints holes whose rows begin and end beside one colour of the ground: its edges go on behind them.
void inpaint_rows(Frame& picture, const std::vector<std::uint8_t>& ground, std::vector<std::uint8_t>& hole) {
  const int width = picture.width();
  const auto goes_on = [&](const Run& run) {
    if (run.x0 == 0 || run.x1 == width || 3 * (run.x1 - run.x0) > width) return false;
    const Size left = static_cast<Size>(run.y * width + run.x0 - 1), right = static_cast<Size>(run.y * width + run.x1);
    return ground[left] && ground[right] &&
           pixel_distance2(picture.at(run.x0 - 1, run.y), picture.at(run.x1, run.y)) <= 30 * 30;
  };
  for (const Region& region : find_regions(hole, width, picture.height())) {
    int pixels = 0;
    for (const Run& run : region.runs) pixels += goes_on(run) ? run.x1 - run.x0 : 0;
    if (2 * pixels < region.pixels) continue;
    for (const Run& run : region.runs) {
      if (!goes_on(run)) continue;
      const std::uint8_t *left = picture.at(run.x0 - 1, run.y), *right = picture.at(run.x1, run.y);
      const int steps = run.x1 - run.x0 + 1;
      for (int x = run.x0; x < run.x1; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int part = (right[c] - left[c]) * (x - run.x0 + 1);
          picture.at(x, run.y)[c] = static_cast<std::uint8_t>(left[c] + part / steps);
        }
        hole[static_cast<Size>(run.y * width + x)] = 0;
      }
    }
  }
}

// Paints the marked pixels from around: along their row, and what is left ring by ring from the outside in.
void inpaint(Frame& picture, const std::vector<std::uint8_t>& ground, std::vector<std::uint8_t> hole) {
  const int width = picture.width(), height = picture.height();
  inpaint_rows(picture, ground, hole);
  std::vector<int> todo;
  for (int i = 0; i < width * height; ++i) {
    if (hole[static_cast<Size>(i)]) todo.push_back(i);
  }
  while (!todo.empty()) {
    std::vector<int> later, done;
    std::vector<std::uint8_t> colours;
    for (const int p : todo) {
      const int x = p % width, y = p / width;
      int sum[3] = {0, 0, 0}, count = 0;
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          const int nx = x + dx, ny = y + dy;
          if (nx < 0 || ny < 0 || nx >= width || ny >= height || hole[static_cast<Size>(ny * width + nx)]) continue;
          for (int c = 0; c < 3; ++c) sum[c] += picture.at(nx, ny)[c];
          ++count;
        }
      }
      if (!count) {
        later.push_back(p);
        continue;
      }
      done.push_back(p);
      for (const int s : sum) colours.push_back(static_cast<std::uint8_t>((s + count / 2) / count));
    }
    if (done.empty()) return;  // the whole picture is a hole
    for (Size i = 0; i < done.size(); ++i) {
      std::copy_n(&colours[3 * i], 3, picture.at(done[i] % width, done[i] / width));
      hole[static_cast<Size>(done[i])] = 0;
    }
    todo = std::move(later);
  }
}

struct StillRegion {
  double r = 0, g = 0, b = 0;
  int border = 0, pixels = 0;
  int min_x = 1 << 30, min_y = 1 << 30, max_x = -1, max_y = -1;
  bool grey() const {
    const Chroma c = chroma(r, g, b);
    return c.u * c.u + c.v * c.v < 0.2 * 0.2;
  }
  /// Neither black nor white, as bodies are: a strip of ground, a pivot, a jug.
  bool mid_grey() const {
    const double lightness = (r + g + b) / 765;
    return grey() && lightness > 0.2 && lightness < 0.74;
  }
  /// A rod, or a body drawn out.
  bool grey_bar() const {
    const int w = max_x - min_x + 1, h = max_y - min_y + 1;
    return grey() && (20 * w < 7 * h || 20 * h < 7 * w);
  }
  std::vector<std::uint8_t> pixel() const {
    return {static_cast<std::uint8_t>(r + 0.5), static_cast<std::uint8_t>(g + 0.5), static_cast<std::uint8_t>(b + 0.5)};
  }
};

std::vector<StillRegion> describe(const Frame& picture, const std::vector<std::int32_t>& label, Size count) {
  const int width = picture.width(), height = picture.height();
  std::vector<StillRegion> out(count);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      StillRegion& region = out[static_cast<Size>(label[static_cast<Size>(y * width + x)])];
      const std::uint8_t* p = picture.at(x, y);
      region.r += p[0], region.g += p[1], region.b += p[2];
      ++region.pixels;
      region.min_x = std::min(region.min_x, x), region.max_x = std::max(region.max_x, x);
      region.min_y = std::min(region.min_y, y), region.max_y = std::max(region.max_y, y);
      region.border += x == 0 || y == 0 || x == width - 1 || y == height - 1;
    }
  }
  for (StillRegion& region : out) region.r /= region.pixels, region.g /= region.pixels, region.b /= region.pixels;
  return out;
}

// The regions marked in `chosen`, two pixels wider.
std::vector<std::uint8_t> hole_of(const std::vector<std::int32_t>& label, const std::vector<std::uint8_t>& chosen,
                                  int width, int height) {
  std::vector<std::uint8_t> hole(label.size(), 0);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (!chosen[static_cast<Size>(label[static_cast<Size>(y * width + x)])]) continue;
      for (int ny = std::max(0, y - 2); ny <= std::min(height - 1, y + 2); ++ny) {
        for (int nx = std::max(0, x - 2); nx <= std::min(width - 1, x + 2); ++nx) {
          hole[static_cast<Size>(ny * width + nx)] = 1;
        }
      }
    }
  }
  return hole;
}

// Grey bars of which a quarter shows what is behind them (`bare`) in several samples: bodies that go away, not rods.
void keep_leaving(std::span<const Frame> frames, const std::vector<int>& samples, const Frame& bare,
                  const std::vector<std::int32_t>& label, const std::vector<StillRegion>& regions,
                  std::vector<std::uint8_t>& chosen) {
  std::vector<int> seen(regions.size(), 0);
  for (Size i = 0; i < label.size(); ++i) {
    const Size region = static_cast<Size>(label[i]);
    if (!chosen[region]) continue;
    int times = 0;
    for (const int t : samples) {
      times += pixel_distance2(&frames[static_cast<Size>(t)].bytes()[3 * i], &bare.bytes()[3 * i]) < 30 * 30;
    }
    seen[region] += times >= 3;
  }
  for (Size k = 0; k < regions.size(); ++k) chosen[k] = chosen[k] && 4 * seen[k] >= regions[k].pixels;
}

// Bodies that stay where they are all through the clip: regions of the background away from the picture's border whose
// colour is none of those that reach the border. A background with many such regions is a photograph: left alone.
void remove_still_bodies(std::span<const Frame> frames, const std::vector<int>& samples, Background& background) {
  Frame& picture = background.picture;
  const int width = picture.width(), height = picture.height(), total = width * height;
  std::vector<int> sizes;
  const std::vector<std::int32_t> label = smooth_regions(picture, std::max(16.0, 5 * background.noise), sizes);
  const std::vector<StillRegion> regions = describe(picture, label, sizes.size());
  const auto is_ground = [&](const StillRegion& region) { return region.border >= 3 || region.pixels > total / 8; };
  std::vector<const StillRegion*> ground;
  for (const StillRegion& region : regions) {
    if (is_ground(region)) ground.push_back(&region);
  }
  std::vector<std::uint8_t> of_ground(label.size(), 0);
  for (Size i = 0; i < label.size(); ++i) of_ground[i] = is_ground(regions[static_cast<Size>(label[i])]);
  std::vector<std::uint8_t> is_body(regions.size(), 0), is_bar(regions.size(), 0);
  int bodies = 0, covered = 0;
  for (Size i = 0; i < regions.size(); ++i) {
    const StillRegion& region = regions[i];
    if (region.mid_grey() || region.border > 0 || region.pixels > total / 8 ||
        region.pixels < std::max(12, total / 4000))
      continue;
    const auto colour = region.pixel();
    bool known = false;
    for (const StillRegion* other : ground) {
      const auto theirs = other->pixel();
      known = known || pixel_distance2(colour.data(), theirs.data()) < 45 * 45;
    }
    if (known) continue;
    if (region.grey_bar()) {
      is_bar[i] = 1;
      continue;
    }
    is_body[i] = 1;
    ++bodies;
    covered += region.pixels;
  }
  if (bodies > 24 || covered > total / 3) return;
  if (std::find(is_bar.begin(), is_bar.end(), 1) != is_bar.end()) {
    Frame bare = picture;
    inpaint(bare, of_ground, hole_of(label, is_bar, width, height));
    keep_leaving(frames, samples, bare, label, regions, is_bar);
    for (Size i = 0; i < regions.size(); ++i) is_body[i] |= is_bar[i];
  }
  if (std::find(is_body.begin(), is_body.end(), 1) == is_body.end()) return;
  inpaint(picture, of_ground, hole_of(label, is_body, width, height));
}

}  // namespace

std::vector<int> spread_indices(int frames, int count) {
  std::vector<int> out;
  const int n = std::min(frames, count);
  for (int i = 0; i < n; ++i) {
    out.push_back(n == 1 ? 0 : static_cast<int>((static_cast<std::int64_t>(frames - 1) * i + (n - 1) / 2) / (n - 1)));
  }
  return out;
}

Background find_background(std::span<const Frame> frames, bool remove_still) {
  const std::vector<int> samples = spread_indices(static_cast<int>(frames.size()), kSamples);
  Background background;
  background.picture = temporal_median(frames, samples);
  settle_busy(frames, samples, background.picture);
  background.noise = estimate_noise(frames, samples, background.picture);
  set_thresholds(background);
  for (int round = 0; round < 3 && repair_ghosts(frames, samples, background); ++round) {
  }
  if (remove_still) remove_still_bodies(frames, samples, background);
  background.noise = estimate_noise(frames, samples, background.picture);
  set_thresholds(background);
  return background;
}

}  // namespace orrery::tracking
