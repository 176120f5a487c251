// Water as a picture sees it: from particles to a smooth, anti-aliased shape, drops included.
//
// The distance to the surface is Zhu and Bridson's ("Animating sand as a fluid", SIGGRAPH 2005): |x - x̄| - r with x̄ the
// kernel-weighted mean of the particles around x. The level is then moved, by a fraction of a cell at most, so that the
// covered area is the area of the particles: drawn water keeps its volume.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "physics_eval/worlds/fluid/solver.h"

namespace orrery::fluid {

/// The part of the world that a picture shows; rows run downwards from the top.
struct View {
  int width = 64, height = 64;
  double metres_per_pixel = 1;
  /// World position of the picture's lower left corner.
  Vec2 origin;
};

/// Coverage and light a pixel, row-major, [height, width].
struct Surface {
  int width = 0, height = 0;
  /// 0 dry, 1 all water.
  std::vector<float> coverage;
  /// 1 just under the surface where it faces up, fading to 0 below.
  std::vector<float> light;

  float at(int x, int y) const {
    return coverage[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
  }
  /// Sum of the coverage, pixels.
  double area() const;
};

/// What is drawn: where the particles are, how large a cell of four is (metres), how much room they take.
struct WaterShape {
  std::vector<Vec2> positions;
  double cell = 1, swelling = 1;
};
WaterShape shape_of(const Solver& solver);

/// Distance to the nearest solid; beside and behind it water is continued, so that no gap shows and solids can be drawn
/// over it.
using SolidDistance = std::function<Contact(Vec2)>;

/// Throws InputError for an empty view. Single-threaded; results depend on the arguments alone.
Surface draw_surface(const WaterShape& water, const View& view, const SolidDistance& solid);
Surface draw_surface(const Solver& solver, const View& view);

}  // namespace orrery::fluid
