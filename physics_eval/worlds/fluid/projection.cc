// The two projections: velocity without divergence, and particles at their rest density. One matrix serves both.
//
// With q = pressure · dt / (density · cell) and open shares w, a cell's row is Σ w (q - q_neighbour) = -div, where div
// is Σ ± [w u + (covered share) (speed of the solid)]; a free surface at share θ of the way to an air cell's centre
// makes its term w q / θ. Pressure pushes a body by density · cell² · Σ q j, j the row of covered shares (Batty et al.,
// section 4).
#include <algorithm>

#include "physics_eval/worlds/fluid/solver.h"

namespace orrery::fluid {

namespace {

constexpr double kLeastShare = 0.05;  // a surface nearer than this to a cell's centre counts as this far
constexpr int kRounds = 120;

}  // namespace

// A cell is water if a particle is in it, or if most of its open part is spoken for by particles around it (beside
// solids and in gaps between particles).
void Solver::mark_water() {
  const int nx = options_.nx, ny = options_.ny;
  int rows = 0;
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto c = static_cast<std::size_t>(cell_index(i, j));
      row_[c] = -1;
      if (!occupied_[c] && share_[c] < 0.5 * std::max(0.1, 1 - solid_[c])) continue;
      const double open =
          open_u_[static_cast<std::size_t>(u_index(i, j))] + open_u_[static_cast<std::size_t>(u_index(i + 1, j))] +
          open_v_[static_cast<std::size_t>(v_index(i, j))] + open_v_[static_cast<std::size_t>(v_index(i, j + 1))];
      if (open > 0) row_[c] = rows++;
    }
  system_.reset(rows);
  // Faces of water cells that no particle reaches: the speed of the faces around them.
  for (std::size_t f = 0; f < u_.size(); ++f) known_u_[f] = mass_u_[f] > 1e-9;
  for (std::size_t f = 0; f < v_.size(); ++f) known_v_[f] = mass_v_[f] > 1e-9;
  extrapolate(u_, known_u_, nx + 1, ny);
  extrapolate(v_, known_v_, nx, ny + 1);
}

// How far the surface is from a water cell's centre towards an air cell's, from the particles' density: it crosses one
// half at a straight surface.
double Solver::surface_share(int water, int air) const {
  const auto w = static_cast<std::size_t>(water), a = static_cast<std::size_t>(air);
  const double inside = share_[w] / std::max(0.1, 1 - solid_[w]), outside = share_[a] / std::max(0.1, 1 - solid_[a]);
  if (inside <= 0.5 || inside <= outside) return kLeastShare;
  return std::clamp((inside - 0.5) / (inside - outside), kLeastShare, 1.0);
}

void Solver::build_system() {
  const int nx = options_.nx, ny = options_.ny;
  // Adds the face with share `open` between a cell and its lower or left neighbour.
  const auto couple = [&](int cell, int other, double open, std::vector<double>& value, std::vector<int>& neighbour) {
    if (open <= 0) return;
    const int row = row_[static_cast<std::size_t>(cell)], far = row_[static_cast<std::size_t>(other)];
    if (row >= 0 && far >= 0) {
      system_.diagonal[static_cast<std::size_t>(row)] += open;
      system_.diagonal[static_cast<std::size_t>(far)] += open;
      value[static_cast<std::size_t>(row)] = -open;
      neighbour[static_cast<std::size_t>(row)] = far;
    } else if (row >= 0) {
      system_.diagonal[static_cast<std::size_t>(row)] += open / surface_share(cell, other);
    } else if (far >= 0) {
      system_.diagonal[static_cast<std::size_t>(far)] += open / surface_share(other, cell);
    }
  };
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const int c = cell_index(i, j);
      if (i > 0) couple(c, c - 1, open_u_[static_cast<std::size_t>(u_index(i, j))], system_.left_value, system_.left);
      if (j > 0)
        couple(c, c - nx, open_v_[static_cast<std::size_t>(v_index(i, j))], system_.below_value, system_.below);
    }
  system_.precondition();
}

void Solver::project_velocity(double dt) {
  const int nx = options_.nx, ny = options_.ny;
  const double h = options_.cell;
  const auto rows = static_cast<std::size_t>(system_.rows());
  std::vector<BodyTerm> terms(bodies_.size());
  for (std::size_t k = 0; k < bodies_.size(); ++k) {
    for (auto& row : terms[k].rows) row.assign(rows, 0);
    const double factor = options_.density * h * h;
    terms[k].scales = {factor / bodies_[k].mass(), factor / bodies_[k].mass(), factor / bodies_[k].inertia()};
  }
  std::vector<double> b(rows), q(rows);
  double most = 0;
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto c = static_cast<std::size_t>(cell_index(i, j));
      if (row_[c] < 0) continue;
      const auto row = static_cast<std::size_t>(row_[c]);
      const auto west = static_cast<std::size_t>(u_index(i, j)), south = static_cast<std::size_t>(v_index(i, j));
      const std::size_t east = west + 1, north = south + static_cast<std::size_t>(nx);
      double divergence = open_u_[east] * u_[east] - open_u_[west] * u_[west] + open_v_[north] * v_[north] -
                          open_v_[south] * v_[south] + flux_u_[east] - flux_u_[west] + flux_v_[north] - flux_v_[south];
      for (std::size_t k = 0; k < bodies_.size(); ++k) {
        const Body& body = bodies_[k];
        const Field &su = body_u_[k], &sv = body_v_[k];
        const double x = su[east] - su[west], y = sv[north] - sv[south];
        const double arm_y = (j + 0.5) * h - body.position.y, arm_x = (i + 0.5) * h - body.position.x;
        const double turn = -arm_y * x + arm_x * y;
        terms[k].rows[0][row] = x;
        terms[k].rows[1][row] = y;
        terms[k].rows[2][row] = turn;
        divergence += body.velocity.x * x + body.velocity.y * y + body.omega * turn;
      }
      b[row] = -divergence;
      q[row] = pressure_[c] * dt;
      most = std::max(most, std::abs(divergence));
    }
  system_.solve(b, q, terms, 1e-4 * most + 1e-9, kRounds);
  std::fill(pressure_.begin(), pressure_.end(), 0.0);
  for (std::size_t c = 0; c < row_.size(); ++c)
    if (row_[c] >= 0) pressure_[c] = q[static_cast<std::size_t>(row_[c])] / dt;
  for (std::size_t k = 0; k < bodies_.size(); ++k) {
    double change[3];
    for (std::size_t a = 0; a < 3; ++a) {
      double sum = 0;
      for (std::size_t r = 0; r < rows; ++r) sum += terms[k].rows[a][r] * q[r];
      change[a] = terms[k].scales[a] * sum;
    }
    bodies_[k].velocity = bodies_[k].velocity + Vec2{change[0], change[1]};
    bodies_[k].omega += change[2];
  }
  apply_gradient(q, u_, v_, 1);
}

// Subtracts scale · (difference of q) from the faces of water cells.
void Solver::apply_gradient(const std::vector<double>& q, Field& u, Field& v, double scale) const {
  const int nx = options_.nx, ny = options_.ny;
  const auto difference = [&](int cell, int other) {
    const int row = row_[static_cast<std::size_t>(cell)], far = row_[static_cast<std::size_t>(other)];
    if (row >= 0 && far >= 0) return q[static_cast<std::size_t>(row)] - q[static_cast<std::size_t>(far)];
    if (row >= 0) return q[static_cast<std::size_t>(row)] / surface_share(cell, other);
    if (far >= 0) return -q[static_cast<std::size_t>(far)] / surface_share(other, cell);
    return 0.0;
  };
  for (int j = 0; j < ny; ++j)
    for (int i = 1; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(u_index(i, j));
      if (open_u_[f] > 0) u[f] -= scale * difference(cell_index(i, j), cell_index(i - 1, j));
    }
  for (int j = 1; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(v_index(i, j));
      if (open_v_[f] > 0) v[f] -= scale * difference(cell_index(i, j), cell_index(i, j - 1));
    }
}

// Shifts that spread particles where they crowd and gather them where gaps opened inside the water. A cell beside air
// may be part full, so there only crowding counts.
void Solver::project_density() {
  const int nx = options_.nx, ny = options_.ny;
  const auto rows = static_cast<std::size_t>(system_.rows());
  std::fill(shift_u_.begin(), shift_u_.end(), 0.0);
  std::fill(shift_v_.begin(), shift_v_.end(), 0.0);
  std::vector<double> b(rows), q(rows, 0.0);
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto c = static_cast<std::size_t>(cell_index(i, j));
      if (row_[c] < 0) continue;
      double error = share_[c] + solid_[c] - 1;
      if (error < 0) {
        bool surface = false;
        for (int y = std::max(0, j - 1); y <= std::min(ny - 1, j + 1); ++y)
          for (int x = std::max(0, i - 1); x <= std::min(nx - 1, i + 1); ++x) {
            const auto near = static_cast<std::size_t>(cell_index(x, y));
            surface = surface || (row_[near] < 0 && solid_[near] < 0.9);
          }
        if (surface) error = 0;
      }
      b[static_cast<std::size_t>(row_[c])] = std::clamp(error, -0.3, 0.5);
    }
  system_.solve(b, q, {}, 0.005, kRounds);
  apply_gradient(q, shift_u_, shift_v_, options_.cell);
  const double most = 0.5 * options_.cell;
  for (Field* shift : {&shift_u_, &shift_v_})
    for (double& value : *shift) value = std::clamp(value, -most, most);
}

void Solver::known_faces() {
  const int nx = options_.nx, ny = options_.ny;
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i <= nx; ++i) {
      const auto f = static_cast<std::size_t>(u_index(i, j));
      const bool west = i > 0 && row_[static_cast<std::size_t>(cell_index(i - 1, j))] >= 0;
      const bool east = i < nx && row_[static_cast<std::size_t>(cell_index(i, j))] >= 0;
      known_u_[f] = open_u_[f] > 0 && (west || east);
    }
  for (int j = 0; j <= ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto f = static_cast<std::size_t>(v_index(i, j));
      const bool south = j > 0 && row_[static_cast<std::size_t>(cell_index(i, j - 1))] >= 0;
      const bool north = j < ny && row_[static_cast<std::size_t>(cell_index(i, j))] >= 0;
      known_v_[f] = open_v_[f] > 0 && (south || north);
    }
}

}  // namespace orrery::fluid
