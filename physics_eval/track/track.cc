#include "physics_eval/track/track.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "physics_eval/track/link.h"
#include "physics_eval/track/native_size.h"
#include "physics_eval/track/residue.h"
#include "physics_eval/track/segment.h"
#include "physics_eval/track/shadow.h"
#include "video/frames/resize.h"

namespace orrery {

namespace {

using Size = std::size_t;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Range of the middle 90% of the values.
double spread(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const Size cut = values.size() / 20;
  return values[values.size() - 1 - cut] - values[cut];
}

void summarise(Track& track) {
  std::vector<double> area, r, g, b, x, y, sigma, brightness;
  for (const Observation& o : track.frames) {
    if (!o.visible) continue;
    r.push_back(o.colour.r), g.push_back(o.colour.g), b.push_back(o.colour.b);
    x.push_back(o.x), y.push_back(o.y), sigma.push_back(o.sigma);
    brightness.push_back(o.brightness);
    if (!o.merged && !o.cut) area.push_back(o.area);
  }
  if (area.empty()) {
    for (const Observation& o : track.frames) {
      if (o.visible) area.push_back(o.area);
    }
  }
  track.area = median(area);
  track.colour = {median(r), median(g), median(b)};
  track.colour_word = colour_name(track.colour, median(std::move(brightness)));
  const double range = std::hypot(spread(std::move(x)), spread(std::move(y)));
  track.moves = range > std::max(0.8, 10 * median(std::move(sigma)));
}

int visible_frames(const Track& track) {
  return static_cast<int>(
      std::count_if(track.frames.begin(), track.frames.end(), [](const Observation& o) { return o.visible; }));
}

std::string why_not(const Tracks& tracks) {
  std::vector<double> share = tracks.foreground;
  if (median(share) > 0.6)
    return "most of the picture differs from any fixed background: a moving camera, cuts or noise";
  return {};
}

// Weighs the strong colours of the palette in every frame. A tint lighter or darker (foam, depth) is the same colour.
std::vector<ColourArea> weigh_colours(std::span<const Frame> frames, const Frame& background,
                                      const std::vector<tracking::PaletteColour>& palette) {
  std::vector<ColourArea> out;
  const auto share = [](const Frame& frame, const tracking::Chroma& c, double& x, double& y) {
    double count = 0;
    x = y = 0;
    const double strength = std::hypot(c.u, c.v);
    for (int j = 0; j < frame.height(); ++j) {
      for (int i = 0; i < frame.width(); ++i) {
        const std::uint8_t* p = frame.at(i, j);
        const tracking::Chroma here = tracking::chroma(p[0], p[1], p[2]);
        const double along = (here.u * c.u + here.v * c.v) / strength,
                     across = (here.u * c.v - here.v * c.u) / strength;
        if (along < 0.45 * strength || std::abs(across) > 0.2 * strength + 0.05) continue;
        count += 1, x += i + 0.5, y += j + 0.5;
      }
    }
    if (count > 0) x /= count, y /= count;
    return count;
  };
  for (const tracking::PaletteColour& entry : palette) {
    const tracking::Chroma c = entry.chroma;
    if (entry.grey || c.u * c.u + c.v * c.v < 0.3 * 0.3) continue;
    ColourArea area;
    area.area.resize(frames.size()), area.x.resize(frames.size()), area.y.resize(frames.size());
    area.colour = tracking::full_colour(c);
    double x = 0, y = 0;
    area.in_background = share(background, c, x, y) / (static_cast<double>(background.width()) * background.height());
    parallel_for(static_cast<std::int64_t>(frames.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const Size i = static_cast<Size>(t);
        area.area[i] = share(frames[i], c, area.x[i], area.y[i]);
      }
    });
    out.push_back(std::move(area));
  }
  return out;
}

// The clip at the working size; empty when it is small enough as it is.
std::vector<Frame> shrink(std::span<const Frame> frames, int size, double& scale) {
  std::vector<Frame> out;
  const int shorter = std::min(frames[0].width(), frames[0].height());
  if (size <= 0) return out;
  // An enlarged clip has no more in it than its own pixels: at its own size a pixel means what the laws take it for.
  const int native = tracking::native_size(frames);
  if (4 * native > 5 * size) {
    scale = static_cast<double>(shorter) / size;
  } else if (native < shorter) {
    scale = static_cast<double>(shorter) / native;
  } else {
    return out;
  }
  const int width = static_cast<int>(std::lround(frames[0].width() / scale)),
            height = static_cast<int>(std::lround(frames[0].height() / scale));
  out.resize(frames.size());
  parallel_for(static_cast<std::int64_t>(frames.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      out[static_cast<Size>(t)] = resize(frames[static_cast<Size>(t)], width, height, Filter::area);
  });
  return out;
}

// Segments, lines and foreground of every frame.
void find_all(std::span<const Frame> frames, const tracking::Background& background,
              const std::vector<tracking::PaletteColour>& palette, double smallest, bool thin_bodies,
              std::vector<std::vector<tracking::Segment>>& segments, Tracks& out) {
  segments.assign(frames.size(), {});
  out.foreground.assign(frames.size(), 0);
  out.lines.assign(frames.size(), {});
  parallel_for(static_cast<std::int64_t>(frames.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const Size i = static_cast<Size>(t);
      tracking::FrameContent content = tracking::find_segments(frames[i], background, palette, smallest, thin_bodies);
      segments[i] = std::move(content.segments);
      out.lines[i] = std::move(content.lines);
      out.foreground[i] = content.foreground;
    }
  });
}

bool drawn_out(const tracking::Segment& s) {
  const double mean = (s.xx + s.yy) / 2, half = std::hypot((s.xx - s.yy) / 2, s.xy);
  return mean + half > 6 * (mean - half);
}

// Most thin things hold nothing: what is beside them is far away or as thin.
bool lines_alone(const std::vector<std::vector<tracking::Segment>>& segments,
                 const std::vector<std::vector<LineRun>>& lines) {
  Size with = 0, alone = 0;
  for (Size t = 0; t < lines.size(); ++t) {
    int pixels = 0;
    bool held = false;
    for (const LineRun& run : lines[t]) {
      pixels += run.x1 - run.x0;
      for (const tracking::Segment& s : segments[t]) {
        if (drawn_out(s)) continue;
        const double x = std::clamp(s.x, static_cast<double>(run.x0), static_cast<double>(run.x1));
        held = held || std::hypot(s.x - x, s.y - run.y - 0.5) < std::sqrt(std::max(s.xx, s.yy)) * 2 + 3;
      }
    }
    if (pixels < 20) continue;
    ++with, alone += !held;
  }
  return with * 4 > lines.size() && alone * 10 > with * 7;
}

}  // namespace

int Track::first() const {
  for (Size t = 0; t < frames.size(); ++t) {
    if (frames[t].visible) return static_cast<int>(t);
  }
  return -1;
}

int Track::last() const {
  for (Size t = frames.size(); t-- > 0;) {
    if (frames[t].visible) return static_cast<int>(t);
  }
  return -1;
}

double Track::radius() const { return std::sqrt(area / 3.14159265358979323846); }

Tracks track(std::span<const Frame> frames, double fps, const TrackOptions& options) {
  ORRERY_CHECK(fps > 0, "[track] the frame rate is ", fps, ", expected more than 0");
  Tracks out;
  out.fps = fps;
  if (frames.empty()) {
    out.reason = "the clip has no frames";
    return out;
  }
  out.width = frames[0].width(), out.height = frames[0].height();
  for (const Frame& frame : frames) {
    ORRERY_CHECK(frame.width() == out.width && frame.height() == out.height, "[track] a frame is ", frame.width(), "x",
                 frame.height(), ", the first is ", out.width, "x", out.height);
  }
  const std::vector<Frame> smaller = shrink(frames, options.working_size, out.scale);
  if (!smaller.empty()) {
    frames = smaller;
    out.width = frames[0].width(), out.height = frames[0].height();
  }
  const tracking::Background background = tracking::find_background(frames, options.static_bodies);
  out.background = background.picture;
  out.noise = background.noise;
  const std::vector<tracking::PaletteColour> palette = tracking::find_palette(frames, background);
  std::vector<std::vector<tracking::Segment>> segments;
  find_all(frames, background, palette, options.smallest_area, false, segments, out);
  // Rods and strings hold something; thin things by themselves are bodies.
  if (lines_alone(segments, out.lines))
    find_all(frames, background, palette, options.smallest_area, true, segments, out);
  out.colours = weigh_colours(frames, background.picture, palette);
  out.reason = why_not(out);
  if (!out.reason.empty()) return out;
  const int wanted = frames.size() > 8 ? 3 : 1;
  std::vector<Track> linked = tracking::link(frames, background, segments);
  tracking::drop_residue(linked, background.picture, out.lines);
  std::erase_if(linked, [&](const Track& track) { return visible_frames(track) < wanted; });
  for (Track& track : linked) summarise(track);
  tracking::drop_shadows(linked, background.picture, out.lines);
  for (Track& track : linked) {
    out.tracks.push_back(std::move(track));
  }
  std::stable_sort(out.tracks.begin(), out.tracks.end(),
                   [](const Track& a, const Track& b) { return a.first() < b.first(); });
  for (Size k = 0; k < out.tracks.size(); ++k) out.tracks[k].id = static_cast<int>(k);
  if (out.tracks.empty())
    out.reason = frames.size() < 2 ? "one frame: nothing can move" : "nothing stands out from the background";
  return out;
}

}  // namespace orrery
