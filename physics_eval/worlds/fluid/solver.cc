// Set-up, the order of a step, and what can be asked of the water. The parts: solids.cc, transfer.cc, projection.cc.
#include "physics_eval/worlds/fluid/solver.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/random.h"

namespace orrery::fluid {

namespace {
constexpr double kLater = 0.75;  // share of the later speed in a path
}

Solver::Solver(const SolverOptions& options) : options_(options) {
  ORRERY_CHECK(options.nx >= 4 && options.ny >= 4, "[fluid] grid is ", options.nx, "x", options.ny,
               ", expected at least 4x4");
  ORRERY_CHECK(options.cell > 0 && options.density > 0 && options.max_step > 0 && options.max_cells_a_step > 0,
               "[fluid] cell ", options.cell, ", density ", options.density, ", step ", options.max_step,
               " and cells a step ", options.max_cells_a_step, " must all be positive");
  const auto nx = static_cast<std::size_t>(options.nx), ny = static_cast<std::size_t>(options.ny);
  const std::size_t cells = nx * ny, u_faces = (nx + 1) * ny, v_faces = nx * (ny + 1);
  for (Field* field : {&solid_, &share_, &pressure_}) field->assign(cells, 0);
  for (Field* field : {&open_u_, &flux_u_, &u_, &mass_u_, &shift_u_, &path_u_}) field->assign(u_faces, 0);
  for (Field* field : {&open_v_, &flux_v_, &v_, &mass_v_, &shift_v_, &path_v_}) field->assign(v_faces, 0);
  node_distance_.assign((nx + 1) * (ny + 1), 1e9);
  occupied_.assign(cells, 0);
  row_.assign(cells, -1);
  known_u_.assign(u_faces, 0);
  known_v_.assign(v_faces, 0);
}

void Solver::add_vessel(Vessel vessel) {
  vessels_.push_back(std::move(vessel));
  place_solids();
}

void Solver::add_body(Body body) {
  ORRERY_CHECK(bodies_.empty(), "[fluid] a second body was added, expected one at most: bodies do not collide");
  ORRERY_CHECK(body.area() > 0 && body.density > 0, "[fluid] body has area ", body.area(), " and density ",
               body.density, ", expected both positive");
  bodies_.push_back(body);
  body_u_.emplace_back(u_.size(), 0.0);
  body_v_.emplace_back(v_.size(), 0.0);
}

void Solver::remove_bodies() {
  bodies_.clear();
  body_u_.clear();
  body_v_.clear();
  fresh_ = true;
}

void Solver::fill(const std::function<bool(Vec2)>& inside, std::uint64_t seed, Vec2 velocity) {
  Random random(seed, 0x77617465);  // "wate"
  const double h = options_.cell;
  for (int j = 0; j < 2 * options_.ny; ++j)
    for (int i = 0; i < 2 * options_.nx; ++i) {
      const Vec2 site{(i + 0.5) * h / 2, (j + 0.5) * h / 2};
      const double jitter_x = random.uniform(-0.1, 0.1), jitter_y = random.uniform(-0.1, 0.1);
      if (!inside(site) || nearest_solid(site).distance < 0) continue;
      Particle particle;
      particle.position = site + Vec2{jitter_x, jitter_y} * (h / 2);
      particle.velocity = velocity;
      particles_.push_back(particle);
    }
}

void Solver::set_swelling(double factor) {
  ORRERY_CHECK(factor > 0, "[fluid] swelling is ", factor, ", expected above 0");
  swelling_ = factor;
}

void Solver::push_water(Vec2 centre, double radius, Vec2 delta) {
  for (Particle& particle : particles_) {
    const Vec2 away = particle.position - centre;
    particle.velocity = particle.velocity + delta * std::exp(-dot(away, away) / (radius * radius));
  }
}

void Solver::advance(double seconds) {
  double left = seconds;
  // A floor under the step: one wild drop must not stop the clock. Its path is marched against the walls anyway.
  const double shortest = options_.max_step / 10;
  while (left > 1e-12) {
    double squared = 0;
    for (const Particle& particle : particles_) squared = std::max(squared, dot(particle.velocity, particle.velocity));
    for (const Body& body : bodies_) squared = std::max(squared, dot(body.velocity, body.velocity));
    const double fall = length(options_.gravity) * options_.max_step;
    const double wanted = options_.max_cells_a_step * options_.cell / (std::sqrt(squared) + fall + 1e-9);
    const double dt = std::max(std::min(options_.max_step, wanted), shortest);
    const double count = std::max(1.0, std::ceil(left / dt - 1e-9));
    substep(left / count);
    left -= left / count;
  }
}

void Solver::substep(double dt) {
  place_solids();
  const bool moving =
      std::any_of(vessels_.begin(), vessels_.end(), [](const Vessel& vessel) { return vessel.omega != 0; });
  if (fresh_ || moving || !bodies_.empty()) face_fractions();
  fresh_ = moving;  // once more when it has stopped
  particles_to_grid();
  drag_bodies(dt);
  path_u_ = u_;
  path_v_ = v_;
  std::vector<Body> before = bodies_;
  for (double& u : u_) u += dt * options_.gravity.x;
  for (double& v : v_) v += dt * options_.gravity.y;
  for (Body& body : bodies_) body.velocity = body.velocity + options_.gravity * dt;
  mark_water();
  build_system();
  project_velocity(dt);
  project_density();
  known_faces();
  extrapolate(u_, known_u_, options_.nx + 1, options_.ny);
  extrapolate(v_, known_v_, options_.nx, options_.ny + 1);
  constrain_to_solids();
  // Paths follow a mean of the speeds before and after: at one half second order, so that a fall is a parabola; a
  // little more of the later speed damps what the grid cannot resolve.
  for (std::size_t f = 0; f < u_.size(); ++f)
    path_u_[f] = mass_u_[f] > 1e-9 ? path_u_[f] + kLater * (u_[f] - path_u_[f]) : u_[f];
  for (std::size_t f = 0; f < v_.size(); ++f)
    path_v_[f] = mass_v_[f] > 1e-9 ? path_v_[f] + kLater * (v_[f] - path_v_[f]) : v_[f];
  for (Vessel& vessel : vessels_) vessel.angle += vessel.omega * dt;
  for (std::size_t k = 0; k < bodies_.size(); ++k) {
    bodies_[k].position = bodies_[k].position + (before[k].velocity * (1 - kLater) + bodies_[k].velocity * kLater) * dt;
    bodies_[k].angle += (before[k].omega * (1 - kLater) + bodies_[k].omega * kLater) * dt;
  }
  place_solids();
  collide_bodies();
  grid_to_particles(dt);
  ++substeps_;
}

WaterState Solver::water() const {
  WaterState state;
  const double mass = particle_mass();
  for (const Particle& particle : particles_) {
    state.centre = state.centre + particle.position;
    state.momentum = state.momentum + particle.velocity * mass;
    state.kinetic += 0.5 * mass * dot(particle.velocity, particle.velocity);
    state.potential -= mass * dot(options_.gravity, particle.position);
  }
  state.mass = mass * static_cast<double>(particles_.size());
  if (!particles_.empty()) state.centre = state.centre * (1 / static_cast<double>(particles_.size()));
  return state;
}

double Solver::crowding() const {
  double sum = 0;
  int count = 0;
  for (int j = 1; j + 1 < options_.ny; ++j)
    for (int i = 1; i + 1 < options_.nx; ++i) {
      bool deep = true;
      for (int b = -1; b <= 1; ++b)
        for (int a = -1; a <= 1; ++a) {
          const auto near = static_cast<std::size_t>(cell_index(i + a, j + b));
          deep = deep && occupied_[near] && solid_[near] == 0;
        }
      if (!deep) continue;
      sum += std::abs(share_[static_cast<std::size_t>(cell_index(i, j))] - 1);
      ++count;
    }
  return count >= 30 ? sum / count : 0;
}

}  // namespace orrery::fluid
