// Water in the plane: APIC particles on a MAC grid, so the mass is a fixed number of particles and exact.
//
//   transfer     Jiang, Schroeder, Selle, Teran, Stomakhin, "The affine particle-in-cell method", SIGGRAPH 2015.
//   pressure     Batty, Bertails, Bridson, "A fast variational framework for accurate solid-fluid coupling", SIGGRAPH
//                2007: faces open in part, floating bodies solved together with the water (A + JᵀM⁻¹J); free surface by
//                Gibou, Fedkiw, Cheng, Kang, J. Comput. Phys. 176, 2002 (ghost fluid); CG with MIC(0), Bridson's book.
//   volume       Kugelstadt, Longva, Thuerey, Bender, "Implicit density projection for volume conserving liquids",
//                IEEE TVCG 2019: a second solve with the same matrix moves particles from crowded cells to loose ones.
//
// Units: metres, seconds, kilograms a metre of depth; y up; the domain is [0, nx·cell] × [0, ny·cell] and closed.
// Layout: cell (i, j) is i + nx·j; u sits on the left edge of a cell, (nx+1)·ny; v on its lower edge, nx·(ny+1).
// One solver is one thread; nothing here starts another, so results do not depend on thread counts.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "physics_eval/worlds/fluid/geometry.h"
#include "physics_eval/worlds/fluid/pressure.h"

namespace orrery::fluid {

struct SolverOptions {
  /// Cells across and up; at least 4 each.
  int nx = 48, ny = 48;
  /// Metres a cell.
  double cell = 0.05;
  Vec2 gravity{0, -9.81};
  /// Kilograms a square metre (a metre of depth).
  double density = 1000;
  /// Longest step, seconds, and most cells that water may cross in one.
  double max_step = 1.0 / 45, max_cells_a_step = 1.5;
};

/// One parcel of water: a quarter of a cell at rest.
struct Particle {
  Vec2 position, velocity;
  /// Gradients of the two components of velocity (APIC's C).
  Vec2 gradient_u, gradient_v;
};

struct WaterState {
  double mass = 0;                    ///< kg, exactly particles · particle mass
  Vec2 centre, momentum;              ///< centre of mass, kg·m/s
  double kinetic = 0, potential = 0;  ///< joules; potential from height 0 along gravity
};

class Solver {
 public:
  /// Throws InputError for a grid below 4×4 or a cell, density or step that is not positive.
  explicit Solver(const SolverOptions& options);

  /// Fills where `inside` holds, four particles a cell, slightly irregular by `seed`; skips what a solid covers.
  void fill(const std::function<bool(Vec2)>& inside, std::uint64_t seed, Vec2 velocity = {});
  /// Solids may be added before the first step.
  void add_vessel(Vessel vessel);
  void add_body(Body body);
  /// Takes all bodies out of the world; water closes the gap.
  void remove_bodies();

  /// Advances by `seconds` in as many equal substeps as speed asks for.
  void advance(double seconds);

  /// Adds `delta` to the velocity of the water around `centre`, fading as exp(-r²/radius²).
  void push_water(Vec2 centre, double radius, Vec2 delta);

  void set_gravity(Vec2 gravity) { options_.gravity = gravity; }
  /// Room that a particle takes, in units of its share at rest; 1 unless a scene makes water grow on purpose.
  void set_swelling(double factor);
  double swelling() const { return swelling_; }

  const SolverOptions& options() const { return options_; }
  std::vector<Particle>& particles() { return particles_; }
  const std::vector<Particle>& particles() const { return particles_; }
  std::vector<Body>& bodies() { return bodies_; }
  const std::vector<Body>& bodies() const { return bodies_; }
  std::vector<Vessel>& vessels() { return vessels_; }
  const std::vector<Vessel>& vessels() const { return vessels_; }

  double particle_mass() const { return options_.density * options_.cell * options_.cell / 4; }
  WaterState water() const;
  /// The nearest solid, and the same with the domain's edges among the solids.
  Contact nearest_solid(Vec2 point) const;
  Contact nearest_solid_or_edge(Vec2 point) const;
  /// Mean of |density - 1| over cells deep inside the water: 0 when the particles hold their volume, and where fewer
  /// than 30 cells are deep inside, too few for a mean.
  double crowding() const;
  /// Substeps taken so far.
  std::int64_t substeps() const { return substeps_; }

 private:
  using Field = std::vector<double>;

  int cell_index(int i, int j) const { return i + options_.nx * j; }
  int u_index(int i, int j) const { return i + (options_.nx + 1) * j; }
  int v_index(int i, int j) const { return i + options_.nx * j; }

  void substep(double dt);
  // solids.cc
  void place_solids();
  void face_fractions();
  void solid_cells();
  void constrain_to_solids();
  void collide_particle(Particle& particle) const;
  void collide_bodies();
  void drag_bodies(double dt);
  // transfer.cc
  void particles_to_grid();
  void grid_to_particles(double dt);
  void extrapolate(Field& field, std::vector<std::uint8_t>& known, int width, int height) const;
  Vec2 sample(const Field& u, const Field& v, Vec2 point) const;
  // projection.cc
  void mark_water();
  void build_system();
  void project_velocity(double dt);
  void apply_gradient(const std::vector<double>& q, Field& u, Field& v, double scale) const;
  void project_density();
  void known_faces();
  double surface_share(int water, int air) const;

  SolverOptions options_;
  std::vector<Particle> particles_;
  std::vector<Vessel> vessels_;
  std::vector<Body> bodies_;
  double swelling_ = 1;
  std::int64_t substeps_ = 0;

  // Solids: distances at the nodes, (nx+1)·(ny+1), and what of each face and cell they cover.
  std::vector<Wall> walls_;
  std::vector<int> wall_vessel_;
  Field node_distance_;
  Field open_u_, open_v_;               // share of a face that is open
  Field flux_u_, flux_v_;               // share covered by moving vessels times their velocity
  std::vector<Field> body_u_, body_v_;  // share covered by each body
  Field solid_;                         // share of a cell, smoothed by the particles' tent
  bool fresh_ = true;                   // solids must be placed anew

  // Water on the grid.
  Field u_, v_, mass_u_, mass_v_, path_u_, path_v_, shift_u_, shift_v_;
  Field share_;  // tent-weighted volume of particles a cell
  std::vector<std::uint8_t> occupied_, known_u_, known_v_;
  std::vector<int> row_;  // unknown of a cell, or -1
  Field pressure_;        // last solution a cell, to start from
  PressureSystem system_;
};

}  // namespace orrery::fluid
