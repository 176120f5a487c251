// Particles to grid and back (APIC), velocities beyond the surface, and the particles' paths.
#include <algorithm>

#include "physics_eval/worlds/fluid/solver.h"

namespace orrery::fluid {

namespace {

// Where a point lies among samples of a field: the lower left sample and the shares of the upper right ones. Outside
// the outermost samples the nearest one counts whole.
struct Stencil {
  int i, j;
  double tx, ty;
};

inline void locate(double x, int count, int& i, double& t) {
  i = std::clamp(static_cast<int>(std::floor(x)), 0, count - 2);
  t = std::clamp(x - i, 0.0, 1.0);
}

inline Stencil locate(Vec2 point, double inverse_cell, double offset_x, double offset_y, int width, int height) {
  Stencil s{};
  locate(point.x * inverse_cell - offset_x, width, s.i, s.tx);
  locate(point.y * inverse_cell - offset_y, height, s.j, s.ty);
  return s;
}

// Spreads one velocity component, affine around the particle, over its four faces.
inline void spread(const Stencil& s, Vec2 to_sample, double speed, Vec2 gradient, double cell, int width, double* sum,
                   double* mass) {
  const double base = speed + gradient.x * to_sample.x + gradient.y * to_sample.y;
  const double w00 = (1 - s.tx) * (1 - s.ty), w10 = s.tx * (1 - s.ty), w01 = (1 - s.tx) * s.ty, w11 = s.tx * s.ty;
  const int at = s.i + width * s.j;
  sum[at] += w00 * base;
  sum[at + 1] += w10 * (base + gradient.x * cell);
  sum[at + width] += w01 * (base + gradient.y * cell);
  sum[at + width + 1] += w11 * (base + (gradient.x + gradient.y) * cell);
  mass[at] += w00;
  mass[at + 1] += w10;
  mass[at + width] += w01;
  mass[at + width + 1] += w11;
}

inline double blend(const Stencil& s, const double* field, int width) {
  const double* f = field + s.i + width * s.j;
  const double low = f[0] + (f[1] - f[0]) * s.tx, high = f[width] + (f[width + 1] - f[width]) * s.tx;
  return low + (high - low) * s.ty;
}

inline Vec2 slope(const Stencil& s, const double* field, int width, double inverse_cell) {
  const double* f = field + s.i + width * s.j;
  return {((f[1] - f[0]) * (1 - s.ty) + (f[width + 1] - f[width]) * s.ty) * inverse_cell,
          ((f[width] - f[0]) * (1 - s.tx) + (f[width + 1] - f[1]) * s.tx) * inverse_cell};
}

void divide(std::vector<double>& sum, const std::vector<double>& mass) {
  for (std::size_t f = 0; f < sum.size(); ++f) sum[f] = mass[f] > 1e-9 ? sum[f] / mass[f] : 0;
}

}  // namespace

void Solver::particles_to_grid() {
  const int nx = options_.nx, ny = options_.ny;
  const double h = options_.cell, inverse = 1 / h, volume = 0.25 * swelling_;
  for (Field* field : {&u_, &v_, &mass_u_, &mass_v_, &share_}) std::fill(field->begin(), field->end(), 0.0);
  std::fill(occupied_.begin(), occupied_.end(), std::uint8_t{0});
  for (const Particle& p : particles_) {
    const Stencil su = locate(p.position, inverse, 0, 0.5, nx + 1, ny);
    const Stencil sv = locate(p.position, inverse, 0.5, 0, nx, ny + 1);
    const Stencil sc = locate(p.position, inverse, 0.5, 0.5, nx, ny);
    spread(su, Vec2{su.i * h, (su.j + 0.5) * h} - p.position, p.velocity.x, p.gradient_u, h, nx + 1, u_.data(),
           mass_u_.data());
    spread(sv, Vec2{(sv.i + 0.5) * h, sv.j * h} - p.position, p.velocity.y, p.gradient_v, h, nx, v_.data(),
           mass_v_.data());
    double* share = share_.data() + cell_index(sc.i, sc.j);
    share[0] += volume * (1 - sc.tx) * (1 - sc.ty);
    share[1] += volume * sc.tx * (1 - sc.ty);
    share[nx] += volume * (1 - sc.tx) * sc.ty;
    share[nx + 1] += volume * sc.tx * sc.ty;
    const int i = std::clamp(static_cast<int>(p.position.x * inverse), 0, nx - 1);
    const int j = std::clamp(static_cast<int>(p.position.y * inverse), 0, ny - 1);
    occupied_[static_cast<std::size_t>(cell_index(i, j))] = 1;
  }
  divide(u_, mass_u_);
  divide(v_, mass_v_);
}

Vec2 Solver::sample(const Field& u, const Field& v, Vec2 point) const {
  const double inverse = 1 / options_.cell;
  const Stencil su = locate(point, inverse, 0, 0.5, options_.nx + 1, options_.ny);
  const Stencil sv = locate(point, inverse, 0.5, 0, options_.nx, options_.ny + 1);
  return {blend(su, u.data(), options_.nx + 1), blend(sv, v.data(), options_.nx)};
}

void Solver::grid_to_particles(double dt) {
  const int nx = options_.nx, ny = options_.ny;
  const double inverse = 1 / options_.cell;
  for (Particle& p : particles_) {
    const Stencil su = locate(p.position, inverse, 0, 0.5, nx + 1, ny);
    const Stencil sv = locate(p.position, inverse, 0.5, 0, nx, ny + 1);
    p.velocity = {blend(su, u_.data(), nx + 1), blend(sv, v_.data(), nx)};
    p.gradient_u = slope(su, u_.data(), nx + 1, inverse);
    p.gradient_v = slope(sv, v_.data(), nx, inverse);
    const Vec2 shift{blend(su, shift_u_.data(), nx + 1), blend(sv, shift_v_.data(), nx)};
    // Midpoint rule along the mean of the grid's velocities, then the volume's correction.
    const Vec2 path = sample(path_u_, path_v_, p.position + p.velocity * (dt / 2)) * dt + shift;
    const int pieces = 1 + static_cast<int>(std::min(length(path) * inverse * 2, 64.0));
    for (int piece = 0; piece < pieces; ++piece) {
      p.position = p.position + path * (1.0 / pieces);
      collide_particle(p);
    }
  }
}

// Two layers of averages over the neighbours known so far.
void Solver::extrapolate(Field& field, std::vector<std::uint8_t>& known, int width, int height) const {
  std::vector<int> found;
  for (int layer = 0; layer < 2; ++layer) {
    found.clear();
    for (int j = 0; j < height; ++j)
      for (int i = 0; i < width; ++i) {
        const int at = i + width * j;
        if (known[static_cast<std::size_t>(at)]) continue;
        double sum = 0;
        int count = 0;
        const auto take = [&](int other) {
          if (!known[static_cast<std::size_t>(other)]) return;
          sum += field[static_cast<std::size_t>(other)];
          ++count;
        };
        if (i > 0) take(at - 1);
        if (i + 1 < width) take(at + 1);
        if (j > 0) take(at - width);
        if (j + 1 < height) take(at + width);
        if (!count) continue;
        field[static_cast<std::size_t>(at)] = sum / count;
        found.push_back(at);
      }
    for (const int at : found) known[static_cast<std::size_t>(at)] = 1;
  }
}

}  // namespace orrery::fluid
