// What every law's test gets and gives.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "physics_eval/laws/motion.h"

namespace orrery::laws {

struct Context {
  const Tracks* tracks = nullptr;
  std::vector<Path> paths;
  Solids solids;
  std::vector<Event> events;
  int frames = 0;
  /// A body [body] is in the air [frame]: whole, and nothing within a pixel or two of it.
  std::vector<std::vector<char>> free;
  /// The body moves as a pendulum or on a spring.
  std::vector<char> swings;
  /// The body goes round one that stands still.
  std::vector<char> orbits;
  /// Acceleration that most free flight shows, pixels a frame², and how many frames of it do; 0 without any.
  Vec free_fall;
  int steady_frames = 0;

  explicit Context(const Tracks& given);
};

/// Something that should not be, from `frame` to `last`.
struct Finding {
  int frame = 0, last = 0;
  double severity = 0;
  std::vector<int> bodies;
  std::string evidence;
};

/// What a test found out about its law.
struct Verdict {
  bool applies = false;
  std::vector<Finding> findings;
  std::vector<Measured> measured;
  void add(int frame, int last, double severity, std::vector<int> bodies, std::string evidence);
};

/// Which bodies swing or hang on a spring.
std::vector<char> find_swings(const Context& context);
/// Which bodies orbit another.
std::vector<char> find_orbits(const Context& context);
/// See Context::free and Context::free_fall.
std::vector<std::vector<char>> find_free(const Context& context);
Vec find_free_fall(const Context& context, int& frames);

/// How a body goes to and fro from frame to frame; frame −1: it does not.
struct Shaking {
  int frame = -1;
  double severity = 0;
};
Shaking find_shaking(const Context& context, std::size_t body);

/// The two turn about each other at a constant distance: a rod between them.
bool linked(const Path& a, const Path& b);
/// Energy of bodies on rods (a double pendulum): it may fall, not change otherwise. Masses from areas.
void test_linked(const Context& context, Verdict& out);

/// A fluid neither vanishes nor jumps.
void test_fluid_permanence(const Context& context, Verdict& out);
/// What is of one strong colour neither comes nor goes nor changes its size from one frame to the next, nor is
/// recoloured: seen in the colours' areas, whoever they belong to.
void test_amounts(const Context& context, Verdict& permanence, Verdict& rigidity, Verdict& colour);
/// A fluid does not climb above where it began.
void test_fluid_rise(const Context& context, Verdict& out);

/// Bodies of one colour as a whole do not climb above where they began, nor cover one another.
void test_crowd_rise(const Context& context, Verdict& out);
void test_crowd_overlap(const Context& context, Verdict& out);

Verdict test_permanence(const Context& context);
Verdict test_rigidity(const Context& context);
Verdict test_colour(const Context& context);
Verdict test_inertia(const Context& context);
Verdict test_time(const Context& context);
Verdict test_gravity(const Context& context);
Verdict test_gravity_ratio(const Context& context);
Verdict test_oscillation(const Context& context);
Verdict test_orbit(const Context& context);
Verdict test_bounce(const Context& context);
Verdict test_momentum(const Context& context);
Verdict test_interpenetration(const Context& context);
Verdict test_volume(const Context& context);

/// "frame 12: body 0 jumps 8.3 px" and the like, with fixed digits.
std::string say(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace orrery::laws
