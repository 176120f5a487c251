#include "physics_eval/worlds/fluid/water_scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace orrery::worlds {

namespace {

// Cells a picture height; the domain goes on above the picture, so that what splashes out of it comes back.
constexpr double kCells = 48, kAbove = 1.3;
// Frames kept for drawing the past; a world that runs on for longer forgets its beginning.
constexpr std::size_t kMoments = 1024;
constexpr std::string_view kWaterColour = "blue";

float distance(Colour a, Colour b) {
  const Colour d = a + b * -1.0f;
  return std::sqrt(d.r * d.r + d.g * d.g + d.b * d.b);
}

// A tint of water that stands out from what floats in it.
Colour tint_beside(std::string_view name) {
  constexpr Colour kTints[2] = {{52, 120, 196}, {92, 178, 214}};
  if (name.empty()) return kTints[0];
  const Colour body = colour_of(name);
  return distance(kTints[0], body) >= std::min(110.0f, distance(kTints[1], body)) ? kTints[0] : kTints[1];
}

}  // namespace

WaterScene::WaterScene(SceneContext& context, bool tank) : look_(context.look) {
  Parameters& p = context.parameters;
  view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
  gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
  room_.width = view_height_ * context.aspect;
  room_.height = view_height_;
  room_.wall = tank ? view_height_ * p.draw("wall", {0.024, 0.036}) : 0;
  room_.floor = view_height_ * p.draw("floor", {0.065, 0.11});
  origin_ = {room_.wall, room_.floor};
  fluid::SolverOptions options;
  const double width = room_.width - 2 * room_.wall;
  options.nx = std::max(8, static_cast<int>(std::lround(width / (view_height_ / kCells))));
  options.cell = cell_ = width / options.nx;
  options.ny = std::max(8, static_cast<int>(std::ceil((kAbove * view_height_ - room_.floor) / cell_)));
  options.gravity = gravity_;
  options.density = 1;
  solver_ = std::make_unique<fluid::Solver>(options);
}

void WaterScene::finish() {
  for (const fluid::Body& body : solver_->bodies()) {
    BodyInfo info;
    info.shape = body.shape == fluid::BodyShape::disc ? Shape::disc : Shape::box;
    info.mass = body.mass();
    info.inertia = body.inertia();
    info.restitution = body.restitution;
    info.radius = info.shape == Shape::disc ? body.half.x : length(body.half);
    if (info.shape == Shape::box) info.width = 2 * body.half.x, info.height = 2 * body.half.y;
    bodies_.push_back(info);
  }
  BodyInfo water;
  water.id = static_cast<int>(bodies_.size());
  water.shape = Shape::fluid;
  water.mass = solver_->water().mass;
  water.radius = std::sqrt(water.mass / std::numbers::pi);  // of a disc of its volume
  water.colour = kWaterColour;
  bodies_.push_back(water);
}

void WaterScene::advance(double seconds) {
  drive(seconds);
  if (growth_ != 0) solver_->set_swelling(solver_->swelling() * (1 + growth_ * seconds));
  if (running()) solver_->advance(seconds);
}

BodyState WaterScene::body_state() const {
  if (gone_) return *gone_;
  const fluid::Body& body = solver_->bodies()[0];
  BodyState state;
  state.position = origin_ + body.position;
  state.velocity = body.velocity;
  state.angle = body.angle;
  state.omega = body.omega;
  return state;
}

void WaterScene::observe(FrameTruth& truth) {
  const fluid::WaterState water = solver_->water();
  truth.kinetic = water.kinetic;
  truth.potential = water.potential;
  truth.momentum = water.momentum;
  if (has_body()) {
    const BodyState state = body_state();
    truth.bodies.push_back(state);
    if (!gone_) {
      const BodyInfo& info = bodies_[0];
      truth.kinetic +=
          0.5 * info.mass * dot(state.velocity, state.velocity) + 0.5 * info.inertia * state.omega * state.omega;
      truth.potential -= info.mass * dot(solver_->options().gravity, state.position - origin_);
      truth.momentum += state.velocity * info.mass;
    }
  }
  BodyState centre;
  centre.id = static_cast<int>(water_index());
  centre.position = origin_ + water.centre;
  if (water.mass > 0)
    centre.velocity = water.momentum / water.mass;
  else
    centre.visible = 0;
  truth.bodies.push_back(centre);
  truth.extra["volume"] = water.mass * solver_->swelling();
  truth.extra["water_kinetic"] = water.kinetic;
  truth.extra["water_potential"] = water.potential;
  Moment moment;
  moment.centre = centre.position;
  moment.positions.reserve(2 * solver_->particles().size());
  for (const fluid::Particle& particle : solver_->particles()) {
    moment.positions.push_back(static_cast<float>(particle.position.x));
    moment.positions.push_back(static_cast<float>(particle.position.y));
  }
  for (const fluid::Vessel& vessel : solver_->vessels()) moment.angles.push_back(vessel.angle);
  if (moments_.size() >= kMoments) moments_.erase(moments_.begin(), moments_.begin() + kMoments / 2);
  moments_.push_back(std::move(moment));
}

void WaterScene::push(Vec2 point, Vec2 change) {
  const Vec2 at = point - origin_;
  double to_water = 1e9;
  Vec2 nearest = at;
  for (const fluid::Particle& particle : solver_->particles()) {
    const double away = length(particle.position - at);
    if (away < to_water) to_water = away, nearest = particle.position;
  }
  for (fluid::Body& body : solver_->bodies()) {
    if (fluid::contact(body, at).distance > to_water) continue;
    body.velocity += change;
    return;
  }
  if (to_water < 1e9) solver_->push_water(nearest, 0.12 * view_height_, change);
}

void WaterScene::paint_still(Canvas& canvas) const {
  canvas.rectangle({0, 0}, {room_.width, room_.floor}, look_.ground);
  canvas.rectangle({0, 0}, {room_.width, room_.floor * 0.5}, look_.ground * 0.86f);
  if (room_.wall <= 0) return;
  canvas.rectangle({0, room_.floor}, {room_.wall, room_.height}, look_.ground);
  canvas.rectangle({room_.width - room_.wall, room_.floor}, {room_.width, room_.height}, look_.ground);
}

// The frame whose water had its centre where the state says; the newest where none had (a twin moved it).
const WaterScene::Moment& WaterScene::moment_of(const FrameTruth& truth) const {
  const Vec2 centre = truth.bodies[water_index()].position;
  for (std::size_t k = moments_.size(); k-- > 0;)
    if (moments_[k].centre == centre) return moments_[k];
  return moments_.back();
}

fluid::SolidDistance WaterScene::solids(const FrameTruth& truth, const std::vector<fluid::Vessel>& vessels) const {
  std::vector<fluid::Wall> walls;
  for (const fluid::Vessel& vessel : vessels)
    for (const fluid::Wall& wall : vessel.placed()) walls.push_back(wall);
  std::optional<fluid::Body> body;
  if (has_body() && truth.bodies[0].visible > 0) {
    const BodyInfo seen = shown(bodies_[0], truth.bodies[0]);
    body.emplace();
    body->shape = seen.shape == Shape::disc ? fluid::BodyShape::disc : fluid::BodyShape::box;
    body->half = seen.shape == Shape::disc ? Vec2{seen.radius, seen.radius} : Vec2{seen.width, seen.height} / 2;
    body->position = truth.bodies[0].position - origin_;
    body->angle = truth.bodies[0].angle;
  }
  const double width = solver_->options().nx * cell_;
  return [=](Vec2 point) {
    fluid::Contact nearest;
    const auto take = [&](const fluid::Contact& found) {
      if (found.distance < nearest.distance) nearest = found;
    };
    take({point.x, {1, 0}, {}});
    take({width - point.x, {-1, 0}, {}});
    take({point.y, {0, 1}, {}});
    for (const fluid::Wall& wall : walls) take(fluid::contact(wall, point));
    if (body) take(fluid::contact(*body, point));
    return nearest;
  };
}

void WaterScene::paint_water(Canvas& canvas, const FrameTruth& truth, const Moment& moment,
                             const std::vector<fluid::Vessel>& vessels) const {
  const BodyState& state = truth.bodies[water_index()];
  Colour tint = state.colour.empty() ? tint_beside(has_body() ? bodies_[0].colour : "") : colour_of(state.colour);
  if (state.reshaped) {
    canvas.disc(state.position, bodies_[water_index()].radius, tint, 0.2f);
    return;
  }
  fluid::WaterShape shape;
  shape.cell = cell_;
  shape.swelling = solver_->swelling();
  for (std::size_t k = 0; k + 1 < moment.positions.size(); k += 2)
    shape.positions.push_back({double{moment.positions[k]}, double{moment.positions[k + 1]}});
  // The picture as the water sees it: moved and scaled about its centre where a twin says so.
  Frame& frame = canvas.frame();
  fluid::View view{frame.width(), frame.height(), canvas.metres_per_pixel() / state.scale, {}};
  view.origin = moment.centre + (Vec2{} - state.position) / state.scale - origin_;
  const fluid::Surface surface = fluid::draw_surface(shape, view, solids(truth, vessels));
  const Colour bright = mix(tint, {226, 240, 250}, 0.42f);
  for (int y = 0; y < frame.height(); ++y) {
    std::uint8_t* row = frame.row(y);
    const std::size_t first = static_cast<std::size_t>(y) * static_cast<std::size_t>(frame.width());
    const float depth = static_cast<float>(y) / static_cast<float>(frame.height());
    const Colour deep = tint * (1.06f - 0.22f * depth);
    for (int x = 0; x < frame.width(); ++x) {
      const std::size_t i = first + static_cast<std::size_t>(x);
      const float coverage = 0.9f * surface.coverage[i];
      if (coverage <= 0) continue;
      const Colour colour = mix(deep, bright, std::min(1.0f, surface.light[i]));
      const float channels[3] = {colour.r, colour.g, colour.b};
      for (int c = 0; c < 3; ++c) {
        const float old = static_cast<float>(row[3 * x + c]);
        row[3 * x + c] =
            static_cast<std::uint8_t>(std::clamp(old + (channels[c] - old) * coverage + 0.5f, 0.0f, 255.0f));
      }
    }
  }
}

void WaterScene::paint(Canvas& canvas, const FrameTruth& truth) const {
  const Moment& moment = moment_of(truth);
  std::vector<fluid::Vessel> vessels = solver_->vessels();
  for (std::size_t k = 0; k < vessels.size(); ++k) vessels[k].angle = moment.angles[k];
  paint_more(canvas);
  if (truth.bodies[water_index()].visible > 0) paint_water(canvas, truth, moment, vessels);
  for (const fluid::Vessel& vessel : vessels)
    for (const fluid::Wall& wall : vessel.placed())
      canvas.capsule(origin_ + wall.a, origin_ + wall.b, wall.half_thickness, look_.line);
  if (has_body()) paint_body(canvas, bodies_[0], truth.bodies[0], look_);
  // Water is drawn on behind floor and walls; here they cover it.
  paint_still(canvas);
}

std::vector<std::string_view> WaterScene::corruptions() const {
  return {"gravity-off", "gravity-reversed", "gravity-doubled", "teleport", "vanish", "sudden-stop", "volume"};
}

bool WaterScene::corrupt(std::string_view kind, int body, Random) {
  const bool water = static_cast<std::size_t>(body) == water_index();
  if (kind == "gravity-off") {
    gravity_ = {};
  } else if (kind == "gravity-reversed") {
    gravity_ = -gravity_;
  } else if (kind == "gravity-doubled") {
    gravity_ = gravity_ * 2;
  } else if (kind == "volume") {
    growth_ = 0.35;
  } else if (kind == "vanish") {
    if (water) {
      solver_->particles().clear();
    } else {
      gone_ = body_state();
      solver_->remove_bodies();
    }
  } else if (kind == "sudden-stop") {
    if (water) {
      for (fluid::Particle& particle : solver_->particles()) particle = {particle.position, {}, {}, {}};
    } else {
      solver_->bodies()[0].velocity = {};
      solver_->bodies()[0].omega = 0;
    }
  } else if (kind == "teleport") {
    const double lift = 0.25 * view_height_, top = solver_->options().ny * cell_;
    if (water) {
      for (fluid::Particle& particle : solver_->particles())
        particle.position.y = std::min(particle.position.y + lift, 2 * top - particle.position.y - lift);
    } else {
      // Out of the water, or back into it.
      Vec2& position = solver_->bodies()[0].position;
      position.y += position.y + lift + bodies_[0].radius < view_height_ - origin_.y ? lift : -lift;
    }
  } else {
    return false;
  }
  solver_->set_gravity(gravity_);
  return true;
}

}  // namespace orrery::worlds
