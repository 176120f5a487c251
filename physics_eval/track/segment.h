// A frame's bodies: foreground, split by colour, measured to a fraction of a pixel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "physics_eval/track/background.h"
#include "physics_eval/track/colour.h"
#include "physics_eval/track/regions.h"
#include "physics_eval/track/track.h"

namespace orrery::tracking {

/// Measures of a set of pixels; fields as in Observation.
struct Segment {
  double x = 0, y = 0, area = 0, xx = 0, xy = 0, yy = 0;
  TrackColour colour;
  int label = 0;
  bool cut = false;
  /// Something else that is no background adjoins more than a tenth of its outline.
  bool adjoins = false;
  /// Mean Euclidean distance from the background, grey levels.
  double contrast = 0;
  /// Lightness of its brighter pixels, 0 to 1.
  double brightness = 0;
  std::vector<Run> runs;
};

/// A colour that bodies of the clip have. Greys differ by lightness (0 to 1), others by chromaticity alone: shading
/// changes lightness.
struct PaletteColour {
  Chroma chroma;
  bool grey = false;
  double lightness = 0;
};

/// The colours of the clip's bodies, most common first (at most 14).
std::vector<PaletteColour> find_palette(std::span<const Frame> frames, const Background& background);

/// What is in one frame.
struct FrameContent {
  std::vector<Segment> segments;
  /// Rods, strings and springs.
  std::vector<LineRun> lines;
  /// Share of the picture that differs from the background.
  double foreground = 0;
};

/// What differs from the background: 1 a pixel, row-major.
std::vector<std::uint8_t> foreground_mask(const Frame& frame, const Background& background);

/// Segments of one frame, at least `smallest_area` large. `thin_bodies`: grey things that are long and thin are bodies
/// too, not rods and strings.
FrameContent find_segments(const Frame& frame, const Background& background, const std::vector<PaletteColour>& palette,
                           double smallest_area, bool thin_bodies = false);

/// How much of each pixel in a rectangle of the picture regions cover; unknown where another body may hide them.
struct CoverageMap {
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<float> value;
  std::vector<std::uint8_t> known;

  std::size_t index(int x, int y) const;
};

/// Of all the parts together, and two pixels around them. mask: the frame's foreground.
CoverageMap coverage_map(std::span<const Segment* const> parts, const std::vector<std::uint8_t>& mask,
                         const Frame& frame, const Background& background);

/// Splits a segment among bodies of known centre and radius (power diagram), nearest power wins; one segment a body,
/// empty (area 0) where none of the pixels fell to it.
struct Disc {
  double x, y, radius;
};
std::vector<Segment> split_segment(const Segment& segment, const Frame& frame, const Background& background,
                                   std::vector<Disc> discs);

}  // namespace orrery::tracking
