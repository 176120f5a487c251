// Solids on the grid, and what they do to water and to each other.
#include <algorithm>
#include <numbers>

#include "physics_eval/worlds/fluid/solver.h"

namespace orrery::fluid {

namespace {

// How near to a solid, in cells, a particle is before its exact distance is asked for. Bodies and walls move between
// the node distances and that question, by a step's worth.
constexpr double kNear = 3;
// Particles keep this far from solids, in cells.
constexpr double kSkin = 0.05;
// Faces open by less than this are shut: slivers make the system stiff and carry no water.
constexpr double kSliver = 0.03;

// The share of the square of side `side` around `centre` that a body covers: four quarters, each cut by a straight
// line. Over a face's whole volume and not the face alone, so that buoyancy grows smoothly as a body sinks through the
// grid.
double covered_share(const Body& body, Vec2 centre, double side) {
  const double whole = contact(body, centre).distance;
  if (std::abs(whole) > side) return whole < 0 ? 1 : 0;
  double sum = 0;
  for (int q = 0; q < 4; ++q) {
    const Contact near = contact(body, centre + Vec2{q % 2 - 0.5, q / 2 - 0.5} * (side / 2));
    const double reach = (std::abs(near.normal.x) + std::abs(near.normal.y)) * side / 2;
    sum += std::clamp(0.5 - near.distance / reach, 0.0, 1.0);
  }
  return sum / 4;
}

}  // namespace

void Solver::place_solids() {
  walls_.clear();
  wall_vessel_.clear();
  for (std::size_t k = 0; k < vessels_.size(); ++k)
    for (const Wall& wall : vessels_[k].placed()) {
      walls_.push_back(wall);
      wall_vessel_.push_back(static_cast<int>(k));
    }
}

Contact Solver::nearest_solid(Vec2 point) const {
  Contact nearest;
  for (std::size_t k = 0; k < walls_.size(); ++k) {
    Contact found = contact(walls_[k], point);
    if (found.distance >= nearest.distance) continue;
    nearest = found;
    nearest.velocity = vessels_[static_cast<std::size_t>(wall_vessel_[k])].velocity_at(point);
  }
  for (const Body& body : bodies_) {
    const Contact found = contact(body, point);
    if (found.distance < nearest.distance) nearest = found;
  }
  return nearest;
}

Contact Solver::nearest_solid_or_edge(Vec2 point) const {
  Contact nearest = nearest_solid(point);
  const auto edge = [&](double distance, Vec2 normal) {
    if (distance < nearest.distance) nearest = {distance, normal, {}};
  };
  edge(point.x, {1, 0});
  edge(options_.nx * options_.cell - point.x, {-1, 0});
  edge(point.y, {0, 1});
  edge(options_.ny * options_.cell - point.y, {0, -1});
  return nearest;
}

// Fills the distances at the nodes and the shares of faces and cells that solids cover. Vessels before bodies: where
// both claim a face, the vessel has it.
void Solver::face_fractions() {
  const int nx = options_.nx, ny = options_.ny;
  const double h = options_.cell;
  const auto node = [nx](int i, int j) { return static_cast<std::size_t>(i + (nx + 1) * j); };
  Field wall_distance(node_distance_.size(), 1e9);
  std::vector<int> owner(node_distance_.size(), 0);
  for (int j = 0; j <= ny; ++j)
    for (int i = 0; i <= nx; ++i) {
      const Vec2 point{i * h, j * h};
      const std::size_t n = node(i, j);
      for (std::size_t k = 0; k < walls_.size(); ++k)
        if (const double d = contact(walls_[k], point).distance; d < wall_distance[n]) {
          wall_distance[n] = d;
          owner[n] = wall_vessel_[k];
        }
      node_distance_[n] = wall_distance[n];
      for (const Body& body : bodies_) node_distance_[n] = std::min(node_distance_[n], contact(body, point).distance);
    }
  struct Shares {
    double open, covered, wall;
  };
  const auto shares = [&](std::size_t a, std::size_t b, Vec2 centre) {
    const double wall = fraction_inside(wall_distance[a], wall_distance[b]);
    double covered = bodies_.empty() ? 0 : std::min(covered_share(bodies_[0], centre, h), 1 - wall);
    double open = 1 - wall - covered;
    if (open < kSliver && covered > 0) covered += open;
    if (open < kSliver) open = 0;
    return Shares{open, covered, wall};
  };
  const auto speed = [&](std::size_t n, Vec2 point) {
    return vessels_.empty() ? Vec2{} : vessels_[static_cast<std::size_t>(owner[n])].velocity_at(point);
  };
  for (int j = 0; j < ny; ++j)
    for (int i = 1; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(u_index(i, j));
      const Vec2 centre{i * h, (j + 0.5) * h};
      const Shares found = shares(node(i, j), node(i, j + 1), centre);
      open_u_[f] = found.open;
      flux_u_[f] = found.wall * speed(node(i, j), centre).x;
      if (!bodies_.empty()) body_u_[0][f] = found.covered;
    }
  for (int j = 1; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(v_index(i, j));
      const Vec2 centre{(i + 0.5) * h, j * h};
      const Shares found = shares(node(i, j), node(i + 1, j), centre);
      open_v_[f] = found.open;
      flux_v_[f] = found.wall * speed(node(i, j), centre).y;
      if (!bodies_.empty()) body_v_[0][f] = found.covered;
    }
  solid_cells();
}

// The share of each cell that solids cover, from a 4×4 sampling of the interpolated distances, spread with the tent
// that particles are spread with (its mass over a cell and its neighbours: 1/8, 3/4, 1/8).
void Solver::solid_cells() {
  const int nx = options_.nx, ny = options_.ny;
  std::fill(solid_.begin(), solid_.end(), 0.0);
  if (walls_.empty() && bodies_.empty()) return;
  Field raw(solid_.size(), 0);
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto n = static_cast<std::size_t>(i + (nx + 1) * j);
      const auto above = n + static_cast<std::size_t>(nx + 1);
      const double corners[4] = {node_distance_[n], node_distance_[n + 1], node_distance_[above],
                                 node_distance_[above + 1]};
      const double least = std::min({corners[0], corners[1], corners[2], corners[3]});
      const double most = std::max({corners[0], corners[1], corners[2], corners[3]});
      if (least >= 0) continue;
      int inside = 16;
      if (most >= 0) {
        inside = 0;
        for (int q = 0; q < 16; ++q) {
          const double x = (q % 4 + 0.5) / 4, y = (q / 4 + 0.5) / 4;
          const double low = corners[0] + (corners[1] - corners[0]) * x,
                       high = corners[2] + (corners[3] - corners[2]) * x;
          inside += low + (high - low) * y < 0;
        }
      }
      raw[static_cast<std::size_t>(cell_index(i, j))] = inside / 16.0;
    }
  Field across(raw.size(), 0);
  const auto at = [&](const Field& field, int i, int j) {
    return field[static_cast<std::size_t>(cell_index(std::clamp(i, 0, nx - 1), std::clamp(j, 0, ny - 1)))];
  };
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i)
      across[static_cast<std::size_t>(cell_index(i, j))] =
          0.75 * at(raw, i, j) + 0.125 * (at(raw, i - 1, j) + at(raw, i + 1, j));
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i)
      solid_[static_cast<std::size_t>(cell_index(i, j))] =
          0.75 * at(across, i, j) + 0.125 * (at(across, i, j - 1) + at(across, i, j + 1));
}

// Faces within a solid take its speed across its surface and keep the water's speed along it (no friction).
void Solver::constrain_to_solids() {
  const int nx = options_.nx, ny = options_.ny;
  const double h = options_.cell;
  for (int j = 0; j < ny; ++j)
    u_[static_cast<std::size_t>(u_index(0, j))] = u_[static_cast<std::size_t>(u_index(nx, j))] = 0;
  for (int i = 0; i < nx; ++i)
    v_[static_cast<std::size_t>(v_index(i, 0))] = v_[static_cast<std::size_t>(v_index(i, ny))] = 0;
  if (walls_.empty() && bodies_.empty()) return;
  const Field u = u_, v = v_;
  const auto near = [&](int i, int j) {
    return std::abs(node_distance_[static_cast<std::size_t>(i + (nx + 1) * j)]) < 2 * h;
  };
  for (int j = 0; j < ny; ++j)
    for (int i = 1; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(u_index(i, j));
      if (open_u_[f] > 0 || !near(i, j)) continue;
      const Vec2 point{i * h, (j + 0.5) * h};
      const Contact solid = nearest_solid(point);
      const double other =
          0.25 * (v[static_cast<std::size_t>(v_index(i - 1, j))] + v[static_cast<std::size_t>(v_index(i, j))] +
                  v[static_cast<std::size_t>(v_index(i - 1, j + 1))] + v[static_cast<std::size_t>(v_index(i, j + 1))]);
      u_[f] -= solid.normal.x * dot(solid.normal, Vec2{u[f], other} - solid.velocity);
    }
  for (int j = 1; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(v_index(i, j));
      if (open_v_[f] > 0 || !near(i, j)) continue;
      const Vec2 point{(i + 0.5) * h, j * h};
      const Contact solid = nearest_solid(point);
      const double other =
          0.25 * (u[static_cast<std::size_t>(u_index(i, j - 1))] + u[static_cast<std::size_t>(u_index(i + 1, j - 1))] +
                  u[static_cast<std::size_t>(u_index(i, j))] + u[static_cast<std::size_t>(u_index(i + 1, j))]);
      v_[f] -= solid.normal.y * dot(solid.normal, Vec2{other, v[f]} - solid.velocity);
    }
}

// Slows bodies against the water around them: the eddies and the friction that a grid of this size cannot hold, without
// which bobbing and rocking feed each other for minutes. A decay rate of kDrag · √(g / size), as far as a body is wet:
// a tenth of critical damping for a box that floats half sunk.
void Solver::drag_bodies(double dt) {
  constexpr int kPoints = 16;
  constexpr double kDrag = 0.3;
  for (Body& body : bodies_) {
    const double size = body.shape == BodyShape::disc ? body.half.x : std::sqrt(body.half.x * body.half.y);
    Vec2 stream;
    int wet = 0;
    for (int k = 0; k < kPoints; ++k) {
      const double angle = 2 * std::numbers::pi * (k + 0.5) / kPoints;
      const double reach = body.shape == BodyShape::disc ? body.half.x : length(body.half);
      Vec2 point = body.position + Vec2{std::cos(angle), std::sin(angle)} * (reach + options_.cell);
      const Contact near = contact(body, point);
      point = point - near.normal * (near.distance - options_.cell);
      const int i = static_cast<int>(point.x / options_.cell), j = static_cast<int>(point.y / options_.cell);
      if (point.x < 0 || point.y < 0 || i >= options_.nx || j >= options_.ny) continue;
      if (!occupied_[static_cast<std::size_t>(cell_index(i, j))]) continue;
      stream += sample(u_, v_, point);
      ++wet;
    }
    if (wet == 0) continue;
    stream = stream / wet;
    const double rate = kDrag * std::sqrt(length(options_.gravity) / size) * wet / kPoints;
    const double kept = std::exp(-rate * dt);
    body.velocity = stream + (body.velocity - stream) * kept;
    body.omega *= kept;
  }
}

void Solver::collide_particle(Particle& particle) const {
  const double h = options_.cell, skin = kSkin * h;
  if (!walls_.empty() || !bodies_.empty()) {
    const int i = std::clamp(static_cast<int>(particle.position.x / h + 0.5), 0, options_.nx);
    const int j = std::clamp(static_cast<int>(particle.position.y / h + 0.5), 0, options_.ny);
    if (node_distance_[static_cast<std::size_t>(i + (options_.nx + 1) * j)] < kNear * h) {
      // Twice: out of one solid may be into another.
      for (int round = 0; round < 2; ++round) {
        const Contact solid = nearest_solid(particle.position);
        if (solid.distance >= skin) break;
        particle.position = particle.position + solid.normal * (skin - solid.distance);
        const double inward = dot(particle.velocity - solid.velocity, solid.normal);
        if (inward < 0) particle.velocity = particle.velocity - solid.normal * inward;
      }
    }
  }
  const auto keep = [skin](double& x, double& speed, double low, double high) {
    if (x < low + skin) {
      x = low + skin;
      speed = std::max(speed, 0.0);
    } else if (x > high - skin) {
      x = high - skin;
      speed = std::min(speed, 0.0);
    }
  };
  keep(particle.position.x, particle.velocity.x, 0, options_.nx * h);
  keep(particle.position.y, particle.velocity.y, 0, options_.ny * h);
}

// Bodies against vessels and the domain's edges: box corners (the rim for a disc) as points, one impulse each. A wall's
// end that pokes into a box's flat side is not seen; the scenes have none.
void Solver::collide_bodies() {
  const double width = options_.nx * options_.cell, height = options_.ny * options_.cell;
  const auto strike = [](Body& body, Vec2 point, Vec2 normal, double depth, Vec2 wall_velocity) {
    body.position = body.position + normal * depth;
    const Vec2 arm = point - body.position;
    const double approach = dot(body.velocity_at(point) - wall_velocity, normal);
    if (approach >= 0) return;
    const double turn = arm.x * normal.y - arm.y * normal.x;
    const double impulse = -(1 + body.restitution) * approach / (1 / body.mass() + turn * turn / body.inertia());
    body.velocity = body.velocity + normal * (impulse / body.mass());
    body.omega += impulse * turn / body.inertia();
  };
  for (Body& body : bodies_) {
    const bool disc = body.shape == BodyShape::disc;
    for (int k = 0; k < (disc ? 1 : 4); ++k) {
      const double reach = disc ? body.half.x : 0;
      const Vec2 corner{k % 2 ? body.half.x : -body.half.x, k / 2 ? body.half.y : -body.half.y};
      const auto point = [&] { return disc ? body.position : body.position + rotated(corner, body.angle); };
      const auto against = [&](double distance, Vec2 normal, Vec2 velocity) {
        if (distance < reach) strike(body, point() - normal * reach, normal, reach - distance, velocity);
      };
      against(point().x, {1, 0}, {});
      against(width - point().x, {-1, 0}, {});
      against(point().y, {0, 1}, {});
      against(height - point().y, {0, -1}, {});
      for (std::size_t w = 0; w < walls_.size(); ++w) {
        const Contact wall = contact(walls_[w], point());
        against(wall.distance, wall.normal, vessels_[static_cast<std::size_t>(wall_vessel_[w])].velocity_at(point()));
      }
    }
  }
}

}  // namespace orrery::fluid
