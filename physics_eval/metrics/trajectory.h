// A clip's bodies against true ones: where they are, how fast, and how far their outlines cover one another.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/track/track.h"
#include "physics_eval/worlds/annotations.h"

namespace orrery {

/// One body's course in shares of the picture's height: x right, y down, from the top left corner.
struct Trajectory {
  std::string name;
  std::vector<char> seen;
  std::vector<double> x, y;
  /// Radius of the disc of its area.
  double radius = 0;
};

struct Course {
  double fps = 0;
  /// Metres that are a picture's height; 0 when unknown.
  double metres = 0;
  int frames = 0;
  std::vector<Trajectory> bodies;
};

/// Bodies that move somewhere in the clip.
Course course_of(const Tracks& tracks);
Course course_of(const worlds::Annotations& truth);

struct BodyError {
  std::string body, truth;
  /// Share of the true body's frames in which the body was seen.
  double seen = 0;
  /// Mean distance of the centres, shares of the picture's height, over frames that show both.
  double distance = 0;
  /// Mean |Δv|, heights a second, from differences of neighbouring frames.
  double velocity = 0;
};

struct TrajectoryScores {
  int matched = 0, missing = 0, extra = 0, frames = 0;
  /// Means over matched bodies, as in BodyError; metres and metres a second when the truth has a scale, else NaN.
  double distance = 0, velocity = 0, distance_metres = 0, velocity_metres = 0;
  /// PISA's (arXiv 2503.09595): mean |Δ| a coordinate / √2 in shares of the height; Chamfer distance of the outlines,
  /// both ways, / √2; mean IoU. Outlines are discs of the body's area here. A frame that lacks the body counts IoU 0.
  double pisa_l2 = 0, pisa_chamfer = 0, pisa_iou = 0;
  std::vector<BodyError> bodies;
};

/// Compares frame by frame over the shorter of the two, bodies paired by least total distance. Throws InputError when
/// the rates differ by more than 1% or the truth shows no body that moves.
TrajectoryScores compare_courses(const Course& clip, const Course& truth);

}  // namespace orrery
