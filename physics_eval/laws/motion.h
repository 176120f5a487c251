// Bodies' paths as the laws look at them: positions with their noise, local fits, sudden changes and what touches what.
// Units: pixels and frames; y down.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "physics_eval/track/track.h"

namespace orrery::laws {

struct Vec {
  double x = 0, y = 0;
};
inline Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y}; }
inline Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y}; }
inline Vec operator*(Vec a, double s) { return {a.x * s, a.y * s}; }
inline double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y; }
double length(Vec a);

/// A polynomial fitted to one body's positions over some frames, about frame `origin`.
struct Fit {
  bool ok = false;
  double origin = 0;
  /// Coefficients of 1, τ, τ², … for x and y, τ = frame − origin.
  std::vector<Vec> coefficient;
  /// Standard deviations of the coefficients (the same for x and y), for the noise given to the fit.
  std::vector<double> sigma;
  /// Root mean square of the residual vector's components, pixels.
  double rms = 0;
  Vec at(double frame) const;
  Vec velocity(double frame) const;
};

/// One body's path. Index: frame of the clip.
struct Path {
  const Track* track = nullptr;
  double radius = 0;
  /// Seen whole; seen in any way.
  std::vector<char> clean, seen;
  std::vector<Vec> at;
  /// Noise of a coordinate, pixels: what third differences show, at least 0.015.
  double noise = 0.03;
  /// Frames in which it is `clean`.
  int count = 0;
  /// Keeps its area from frame to frame but for a few steps; a fluid, a spring or a scrap of picture does not.
  bool rigid = true;
  /// As long as wide.
  bool round = false;
  /// Held by a rod, a string or a spring in most frames.
  bool attached = false;
  /// Index into Tracks::colours when it is part of a fluid of that colour, else -1.
  int fluid = -1;
  /// What a finding about it alone counts, 0 to 1: less where its outline or identity is unsure.
  double trust = 1;

  int frames() const { return static_cast<int>(at.size()); }
  /// A body whose motion the laws are about.
  bool moves() const { return track->moves && rigid; }
};

std::vector<Path> make_paths(const Tracks& tracks);

/// Least squares over clean frames in [first, last]; needs more frames than degree + 1, else ok is false.
Fit fit_path(const Path& path, int first, int last, int degree, double origin);

/// Least squares of a path's clean frames in [first, last] against functions of the frame: `row` fills `columns` ≤ 6
/// values. x and y share the functions.
struct Regression {
  bool ok = false;
  std::vector<Vec> coefficient;
  /// Standard deviations of the coefficients for a coordinate's noise of 1.
  std::vector<double> unit_sigma;
  /// Sum of the squared residuals of both coordinates, and frames used.
  double square = 0;
  int count = 0;
};
template <class Row>
Regression regress(const Path& path, int first, int last, int columns, const Row& row);

/// A sudden change of a body's motion, faster than its own forces explain.
struct Event {
  int body = 0;
  /// The first frame that shows the new motion.
  int frame = 0;
  /// Change of velocity (pixels a frame) over the event, and its standard error.
  Vec change;
  double sigma = 0;
  /// Velocities before and after, from fits to the frames on either side.
  Vec before, after;
  /// Largest second difference within the event: a jump has a large one and little change of velocity.
  double peak = 0;
  bool jump = false;
  /// The push came from a fixed thing, and from which direction it pushed (unit vector).
  bool on_solid = false;
  Vec push;
  /// The push came from that body; -1: none.
  int other = -1;
  /// It came from a rod or plank.
  bool on_line = false;
};

/// Things that do not move: where the background changes its colour sharply from the open space that bodies move in.
class Solids {
 public:
  Solids(const Tracks& tracks, std::span<const Path> paths);
  /// 1 where the pixel is part of a fixed thing or outside the picture, 0 in open space.
  bool solid(double x, double y) const;
  /// Distance in pixels from the surface of a disc at `centre` to something solid in direction `way` (unit), up to
  /// `reach`; reach when there is none. `open_border`: outside the picture is nothing solid.
  double gap(Vec centre, double radius, Vec way, double reach, bool open_border = false) const;
  /// Share of a disc, as far as it lies in the picture, that is solid.
  double overlap(Vec centre, double radius) const;
  /// What bodies go into and come out of again, or bounce within, is no wall but a floor seen from above or a wall
  /// behind it: opened. Where they bounce off nothing that shows, the floor lies there. False where nothing says so.
  bool see_through(std::span<const Path> paths, std::span<const Event> events);
  /// How far a body may be seen within a fixed thing, pixels: where that begins is known to about one, and a floor that
  /// bounces alone tell of to a few.
  double surface() const { return inferred_ ? 3 : 1.3; }

 private:
  void flood(std::span<const Vec> places);
  void open_coloured(const Frame& picture);
  void open_specks(std::span<const Path> paths);

  const Frame* picture_;
  int width_, height_;
  std::vector<char> solid_;
  bool inferred_ = false;
};

/// `lines`: the rods, planks and strings of every frame, which can push too.
std::vector<Event> find_events(std::span<const Path> paths, const Solids& solids,
                               const std::vector<std::vector<LineRun>>& lines);

/// A rod, plank, string or spring within `slack` pixels of the body's surface.
bool near_line(const Path& path, int frame, const std::vector<std::vector<LineRun>>& lines, double slack);

/// From the body's centre to its surface in direction `way` (unit), pixels: a ball's radius; of something long, that of
/// the box with its moments.
double extent(const Path& path, int frame, Vec way);

/// Distance of the surfaces of two bodies in a frame that shows both, pixels; negative where they overlap. A body
/// counts as a capsule with its second moments: a disc, or a rod with round ends. Something soft counts as its bounding
/// ellipse.
double surface_gap(const Path& a, const Path& b, int frame);
/// The same for a point.
double surface_gap(Vec point, const Path& b, int frame);
/// Both are seen and their surfaces are within `slack` pixels.
bool touching(const Path& a, const Path& b, int frame, double slack);

double median(std::vector<double> values);

/// The normal equations of a regression: sums, and their solution.
class NormalEquations {
 public:
  explicit NormalEquations(int columns) : columns_(columns) {}
  void add(const std::array<double, 6>& row, Vec value);
  /// Coefficients and unit_sigma; false where the functions cannot be told apart.
  bool solve(Regression& out) const;

 private:
  int columns_;
  std::array<std::array<double, 6>, 6> a_{};
  std::array<Vec, 6> b_{};
};

template <class Row>
Regression regress(const Path& path, int first, int last, int columns, const Row& row) {
  Regression out;
  NormalEquations equations(columns);
  std::vector<std::array<double, 6>> rows;
  std::vector<Vec> values;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t) {
    if (!path.clean[static_cast<std::size_t>(t)]) continue;
    std::array<double, 6> here{};
    row(t, here);
    rows.push_back(here), values.push_back(path.at[static_cast<std::size_t>(t)]);
    equations.add(here, values.back());
  }
  out.count = static_cast<int>(rows.size());
  if (out.count <= columns || !equations.solve(out)) return out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Vec r = values[i];
    for (std::size_t k = 0; k < static_cast<std::size_t>(columns); ++k) r = r - out.coefficient[k] * rows[i][k];
    out.square += dot(r, r);
  }
  out.ok = true;
  return out;
}

}  // namespace orrery::laws
