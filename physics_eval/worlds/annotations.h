// Ground truth of a simulated clip, as the simulator knows it. Metres, seconds, kilograms, radians; y points up; the
// origin is the lower left corner of the picture. A point (x, y) lies at picture coordinates
// (x / metres_per_pixel, height − y / metres_per_pixel), where pixel i covers [i, i + 1).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "physics_eval/worlds/vec2.h"

namespace orrery::worlds {

/// What a body looks like to the drawing and to collisions.
enum class Shape { disc, box, rod, fluid };
const char* shape_name(Shape shape);

/// What stays the same of a body during a lawful clip.
struct BodyInfo {
  int id = 0;
  Shape shape = Shape::disc;
  double mass = 1;
  /// Of a disc. For a box half the diagonal, for a rod half the length.
  double radius = 0;
  /// Full side lengths of a box or a rod; 0 for a disc.
  double width = 0, height = 0;
  /// Moment of inertia about the centre (kg m²).
  double inertia = 0;
  std::string colour;
  double restitution = 0, friction = 0;
};

/// A body in one frame.
struct BodyState {
  int id = 0;
  Vec2 position, velocity;
  double angle = 0, omega = 0;
  /// Share of the body's bounding box inside the picture; 0 where the body is absent.
  double visible = 1;
  /// Corrupted twins only: size against BodyInfo's, another colour (empty: BodyInfo's), a disc drawn as a box.
  double scale = 1;
  std::string colour{};
  bool reshaped = false;
};

/// `info` as it looks in that state.
BodyInfo shown(const BodyInfo& info, const BodyState& state);

/// Touching since the frame before. `b` below 0 is a fixed thing: see FixedId.
struct ContactState {
  int a = 0, b = 0;
  /// Sum of the normal impulses since the frame before (N s).
  double impulse = 0;
};

/// The `b` of a contact with something that does not move.
enum FixedId : int { kFloor = -1, kLeftWall = -2, kRightWall = -3, kCeiling = -4, kObstacle = -5 };

/// One frame.
struct FrameTruth {
  double t = 0;
  std::vector<BodyState> bodies;
  std::vector<ContactState> contacts;
  /// Kinetic and potential energy (J): gravity's from the floor's height, springs', fields'. `energy()` is their sum.
  double kinetic = 0, potential = 0;
  Vec2 momentum;
  /// What a scene knows beyond bodies, e.g. a fluid's "volume".
  std::map<std::string, double> extra;

  double energy() const { return kinetic + potential; }
};

/// Which law a corrupted twin breaks, and from which frame on.
struct CorruptionTruth {
  std::string kind;
  int frame = 0;
  /// Whether the clip departs from its lawful original, and not as a world with the new gravity would, by more than the
  /// drawing's noise. Not in the JSON form.
  bool departs = false;
  /// It departs, and the break shows to who does not know the original: see shows_itself().
  bool observable = false;
  /// A label a frame: true where the law is visibly being broken or has been.
  std::vector<bool> broken;
};

/// Ground truth of a clip. The JSON form is written by annotations_json.h.
struct Annotations {
  int schema = 1;
  std::string scene;
  std::uint64_t seed = 0;
  std::string caption;
  double fps = 24;
  int width = 0, height = 0;
  double metres_per_pixel = 0;
  Vec2 gravity;
  std::vector<BodyInfo> bodies;
  std::vector<FrameTruth> frames;
  /// Every parameter that was drawn or set, by name.
  std::map<std::string, double> parameters;
  std::optional<CorruptionTruth> corruption;
};

}  // namespace orrery::worlds
