// Tracks of moving bodies from plain video with a fixed camera, without weights: background, segments, identity.
//
// Coordinates are pixels with the origin at the picture's top left corner: the centre of the first pixel is (0.5, 0.5),
// x runs right and y down. Areas are in pixels² with anti-aliased borders counted by their coverage.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

/// A colour in [0, 255] a channel, sRGB as stored.
struct TrackColour {
  double r = 0, g = 0, b = 0;
};

/// The nearest of the common colour words: red, orange, yellow, green, cyan, blue, purple, pink, brown, black, grey,
/// white.
const char* colour_name(const TrackColour& colour);
/// The same for a shaded body: greys are named by the lightness of their brighter pixels.
const char* colour_name(const TrackColour& colour, double brightness);

/// One body in one frame.
struct Observation {
  /// The body was seen and measured in this frame; the other fields mean nothing without it.
  bool visible = false;
  /// It was touching or overlapping another body of its colour, and its share of the pixels was worked out.
  bool merged = false;
  /// It is cut by the picture's border, so position and area are those of the visible part.
  bool cut = false;
  /// It is a ball partly out of the picture or behind others, and where and how large it is as a whole was worked out
  /// from the outline that shows: place, area and moments are those of the whole.
  bool completed = false;
  double x = 0, y = 0;
  /// Visible area, pixels².
  double area = 0;
  /// Standard error of x and of y, pixels.
  double sigma = 0;
  /// Central second moments over area, pixels².
  double xx = 0, xy = 0, yy = 0;
  /// Sides of a body that is a box, pixels, and the angle of the first, radians from x to y; 0 for anything else.
  double box_width = 0, box_height = 0, angle = 0;
  /// Mean colour of the inner pixels, and the lightness of the brighter ones (0 to 1).
  TrackColour colour;
  double brightness = 0;
};

/// One body over the clip.
struct Track {
  int id = 0;
  /// Median colour and its name.
  TrackColour colour;
  std::string colour_word;
  /// Median visible area where it is neither cut nor merged, pixels².
  double area = 0;
  /// Moves by more than its noise somewhere in the clip.
  bool moves = false;
  /// One a frame of the clip.
  std::vector<Observation> frames;

  /// First and last frame in which it is visible; -1 when never.
  int first() const;
  int last() const;
  /// Radius of the disc of its area, pixels.
  double radius() const;
};

struct TrackOptions {
  /// Bodies that never move are tracks too, where the background is plain enough to tell them from it.
  bool static_bodies = true;
  /// Smallest body, pixels².
  double smallest_area = 6;
  /// Pictures whose shorter side is longer than 5/4 of this are averaged down to it first: sharp enough for a few
  /// hundredths of a pixel, and the noise of cameras and codecs averages out. Smaller pictures written enlarged are
  /// brought back to their own size. 0: never.
  int working_size = 128;
};

/// Pixels [x0, x1) of row y that belong to a rod, a string or a spring.
struct LineRun {
  int y, x0, x1;
};

/// All that is of one strong colour in the picture, moving or not: how a fluid is weighed.
struct ColourArea {
  TrackColour colour;
  /// Share of the background's pixels that have it.
  double in_background = 0;
  /// Pixels that have it, and their centroid, a frame.
  std::vector<double> area, x, y;
};

/// What was tracked, or the reason why nothing could be.
struct Tracks {
  /// Of the pictures that were tracked; all coordinates and areas below are in their pixels.
  int width = 0, height = 0;
  /// Pixels of the clip a pixel of theirs.
  double scale = 1;
  double fps = 0;
  std::vector<Track> tracks;
  /// The picture without its bodies.
  Frame background;
  /// Standard deviation of the background's pixels, grey levels a channel.
  double noise = 0;
  /// Thin moving things that are no bodies, a frame.
  std::vector<std::vector<LineRun>> lines;
  /// Strong colours of what moves.
  std::vector<ColourArea> colours;
  /// Share of the picture's pixels that differ from the background, a frame.
  std::vector<double> foreground;
  /// Empty, or why the clip cannot be tracked ("the whole picture changes: a moving camera or a cut").
  std::string reason;
};

/// Tracks the bodies of a clip of frames of one size. Deterministic at any thread count. Throws InputError for frames
/// of different sizes or a rate that is not positive; a clip that cannot be tracked comes back with `reason`.
Tracks track(std::span<const Frame> frames, double fps, const TrackOptions& options = {});

}  // namespace orrery
