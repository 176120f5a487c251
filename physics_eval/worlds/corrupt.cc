#include "physics_eval/worlds/corrupt.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "physics_eval/worlds/look.h"
#include "physics_eval/worlds/observable.h"
#include "physics_eval/worlds/world.h"

namespace orrery::worlds {
namespace {

constexpr std::array<CorruptionKind, 18> kKinds = {{
    {"gravity-off", "gravity stops acting", false},
    {"gravity-reversed", "gravity pulls upwards", false},
    {"gravity-doubled", "gravity doubles", false},
    {"energy-gain", "more energy comes out of bounces or swings than went in", false},
    {"momentum", "collisions do not keep momentum", false},
    {"teleport", "a body jumps to another place", true},
    {"vanish", "a body disappears", true},
    {"appear", "a body appears out of nothing", true},
    {"size-change", "a body changes its size", true},
    {"shape-change", "a body changes its shape", true},
    {"colour-change", "a body changes its colour", true},
    {"sudden-stop", "a moving body stops without a force", true},
    {"reversed-time", "time runs backwards", true},
    {"pass-floor", "bodies pass through floor and walls", false},
    {"pass-through", "bodies pass through each other", false},
    {"frozen", "everything stands still", true},
    {"jitter", "a body jumps to and fro from frame to frame", true},
    {"volume", "a fluid's volume grows", false},
}};

const CorruptionKind& find_kind(std::string_view name) {
  std::string known;
  for (const CorruptionKind& row : kKinds) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw InputError("[worlds] unknown corruption '" + std::string(name) + "', expected one of: " + known);
}

bool knows(const Scene& scene, std::string_view kind) {
  const auto kinds = scene.corruptions();
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

bool can_show(const Scene& scene, const CorruptionKind& kind) {
  if (knows(scene, kind.name) || kind.name == "frozen") return true;
  return kind.view && scene.paints_states() && !scene.bodies().empty();
}

// A colour name far from that one.
std::string other_colour(const std::string& name, Random& random) {
  const auto all = named_colours();
  for (;;) {
    const NamedColour& row = all[random.below(all.size())];
    if (row.name != name && row.on_dark && row.on_light) return std::string(row.name);
  }
}

void reverse(FrameTruth& truth) {
  for (BodyState& body : truth.bodies) body.velocity = -body.velocity, body.omega = -body.omega;
  truth.momentum = -truth.momentum;
}

}  // namespace

std::span<const CorruptionKind> corruption_kinds() { return kKinds; }

std::vector<std::string> corruptions_of(const WorldSpec& spec) {
  WorldSpec lawful = spec;
  lawful.corruption.reset();
  const World world(lawful);
  std::vector<std::string> names;
  for (const CorruptionKind& row : kKinds) {
    if (can_show(world.scene(), row)) names.emplace_back(row.name);
  }
  return names;
}

Corruptor::Corruptor(const CorruptionSpec& spec, Scene& scene, Random random) : spec_(spec), random_(random) {
  const CorruptionKind& kind = find_kind(spec.kind);
  ORRERY_CHECK(spec.frame >= 1, "[worlds] the law breaks at frame ", spec.frame, ", expected at least 1");
  ORRERY_CHECK(can_show(scene, kind), "[worlds] this scene cannot show the corruption ", spec.kind);
  by_scene_ = knows(scene, spec.kind);
  if (scene.bodies().empty()) return;
  body_ = static_cast<int>(random_.below(scene.bodies().size()));
  amount_ = scale_change(random_.fork(1));
  colour_ = other_colour(scene.bodies()[static_cast<std::size_t>(body_)].colour, random_);
  const double angle = random_.uniform(0, 6.283185307179586);
  offset_ = Vec2{std::cos(angle), std::sin(angle)} * (0.2 * scene.view_height());
  noise_ = 0.03 * scene.view_height();
}

bool Corruptor::before(int frame, Scene& scene) {
  if (frame == spec_.frame && by_scene_) {
    // The size that the scene takes on is the one that is shown.
    const bool done = scene.corrupt(spec_.kind, body_, random_.fork(1));
    ORRERY_ASSERT(done, "[worlds] the scene did not show the corruption ", spec_.kind);
  }
  return frame < spec_.frame || (spec_.kind != "frozen" && spec_.kind != "reversed-time");
}

void Corruptor::after(int frame, FrameTruth& truth) {
  const bool broken = frame >= spec_.frame;
  if (spec_.kind == "reversed-time" || spec_.kind == "frozen") {
    if (!broken) {
      history_.push_back(truth);
      return;
    }
    const double t = truth.t;
    if (spec_.kind == "frozen") {
      truth = history_.back();
      for (BodyState& body : truth.bodies) body.velocity = {}, body.omega = 0;
      truth.momentum = {};
      truth.kinetic = 0;
      truth.contacts.clear();
    } else {
      // Back to frame 0, then forth again.
      const int last = spec_.frame - 1, steps = frame - last, at = std::abs(last - steps) % (2 * std::max(1, last));
      truth = history_[static_cast<std::size_t>(at > last ? 2 * last - at : at)];
      if (steps <= last) reverse(truth);
    }
    truth.t = t;
    return;
  }
  if (body_ >= static_cast<int>(truth.bodies.size())) return;
  BodyState& body = truth.bodies[static_cast<std::size_t>(body_)];
  if (spec_.kind == "appear") {
    if (!broken) body.visible = 0;
    return;
  }
  if (!broken) return;
  if (spec_.kind == "vanish") body.visible = 0;
  if (spec_.kind == "size-change") body.scale = amount_;
  if (spec_.kind == "shape-change") body.reshaped = true;
  if (spec_.kind == "colour-change") body.colour = colour_;
  if (spec_.kind == "jitter") body.position += Vec2{random_.normal(), random_.normal()} * noise_;
  if (by_scene_) return;
  if (spec_.kind == "teleport") body.position += offset_;
  if (spec_.kind == "sudden-stop") {
    if (history_.empty()) history_.push_back(truth);
    const BodyState& held = history_[0].bodies[static_cast<std::size_t>(body_)];
    body.position = held.position, body.angle = held.angle;
    body.velocity = {}, body.omega = 0;
  }
}

namespace {

// How far two states are apart, in pixels; a visible difference of another kind counts as far.
double departure(const World& lawful, const World& twin) {
  const FrameTruth &a = lawful.truth(), &b = twin.truth();
  constexpr double kFar = 1e9;
  if (a.bodies.size() != b.bodies.size()) return kFar;
  double most = 0;
  const double pixel = lawful.metres_per_pixel();
  for (std::size_t i = 0; i < a.bodies.size(); ++i) {
    const BodyState &x = a.bodies[i], &y = b.bodies[i];
    if (x.visible <= 0.02 && y.visible <= 0.02) continue;
    if ((x.visible <= 0.02) != (y.visible <= 0.02) || x.colour != y.colour || x.reshaped != y.reshaped) return kFar;
    const BodyInfo& info = lawful.scene().bodies()[static_cast<std::size_t>(x.id)];
    most = std::max({most, length(x.position - y.position) / pixel, std::abs(x.scale - y.scale) * info.radius / pixel});
    if (info.shape != Shape::disc) most = std::max(most, std::abs(x.angle - y.angle) * info.radius / pixel);
  }
  for (const auto& [name, value] : a.extra) {
    const auto other = b.extra.find(name);
    if (name == "volume" && other != b.extra.end() && std::abs(other->second - value) > 0.02 * value) return kFar;
  }
  return most;
}

// Gravity that changes can show nothing but what a world shows that had the new one all along: where nothing fell
// before, any gravity is lawful.
bool another_gravity_explains(const WorldSpec& twin_spec, int frames) {
  const std::string& kind = twin_spec.corruption->kind;
  if (kind != "gravity-off" && kind != "gravity-doubled") return false;
  World twin(twin_spec);
  const double gravity = -twin.scene().gravity().y;
  const auto& bodies = twin.scene().bodies();
  const bool flows =
      std::any_of(bodies.begin(), bodies.end(), [](const BodyInfo& b) { return b.shape == Shape::fluid; });
  if (gravity <= 0 || flows || twin.describe().parameters.count("gravity") == 0) return false;
  WorldSpec other_spec = twin_spec;
  other_spec.corruption.reset();
  other_spec.overrides["gravity"] = kind == "gravity-off" ? 0 : 2 * gravity;
  World other(other_spec);
  for (int frame = 0; frame < frames; ++frame) {
    if (frame > 0) other.step(), twin.step();
    if (departure(other, twin) > kNoisePixels) return false;
  }
  return true;
}

}  // namespace

CorruptionTruth judge_corruption(const WorldSpec& spec, int frames) {
  ORRERY_CHECK(spec.corruption.has_value(), "[worlds] no corruption to judge");
  WorldSpec original = spec;
  original.corruption.reset();
  World lawful(original), twin(spec);
  CorruptionTruth truth;
  truth.kind = spec.corruption->kind;
  truth.frame = spec.corruption->frame;
  bool broken = false;
  double before = 0, after = 0;
  // A clip that starts within three frames of the break shows no lawful motion to depart from.
  const bool pinned = truth.frame >= 3;
  std::vector<FrameTruth> lawful_frames, twin_frames;
  for (int frame = 0; frame < frames; ++frame) {
    if (frame > 0) lawful.step(), twin.step();
    lawful_frames.push_back(lawful.truth()), twin_frames.push_back(twin.truth());
    if (truth.kind == "appear") {
      broken = broken || (frame >= truth.frame && lawful.truth().bodies.size() == twin.truth().bodies.size());
    } else if (frame >= truth.frame) {
      broken = broken || departure(lawful, twin) > kNoisePixels;
      after = std::max(after, twin.truth().energy());
    } else {
      before = std::max(before, twin.truth().energy());
    }
    truth.broken.push_back(broken);
  }
  // Another restitution is lawful; ending with more energy than there was is not.
  if (truth.kind == "energy-gain" && after < 1.02 * before)
    std::fill(truth.broken.begin(), truth.broken.end(), false), broken = false;
  if (broken && another_gravity_explains(spec, frames))
    std::fill(truth.broken.begin(), truth.broken.end(), false), broken = false;
  truth.departs = broken && pinned;
  const TwinTruth both{truth.kind,
                       truth.frame,
                       lawful_frames,
                       twin_frames,
                       lawful.scene().bodies(),
                       lawful.scene().gravity(),
                       spec.fps,
                       lawful.metres_per_pixel()};
  truth.observable = truth.departs && shows_itself(both, kNoisePixels);
  return truth;
}

}  // namespace orrery::worlds
