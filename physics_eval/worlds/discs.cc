#include "physics_eval/worlds/discs.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace orrery::worlds {
namespace {

constexpr double kTouching = 1e-7;  // metres: closer than this is contact
constexpr int kMostEvents = 64;     // impacts a substep before the rest of it is solved as resting
constexpr int kSweeps = 24;

// The first time in [0, limit] at which c + b t + a t² falls through 0, or a negative number.
double first_fall(double a, double b, double c, double limit) {
  if (c <= 0) return b < 0 ? 0.0 : -1.0;
  if (a == 0) return b < 0 && -c / b <= limit ? -c / b : -1.0;
  const double square = b * b - 4 * a * c;
  if (square < 0) return -1.0;
  // q avoids cancellation; the falling root is the one with derivative −√square.
  const double root = std::sqrt(square);
  const double t = b <= 0 ? 2 * c / (-b + root) : (-b - root) / (2 * a);
  return t >= 0 && t <= limit ? t : -1.0;
}

}  // namespace

Vec2 DiscSystem::normal_of(Touch touch) const {
  if (touch.other < 0) return walls[static_cast<std::size_t>(-1 - touch.other)].normal;
  const Vec2 between = discs[touch.disc].position - discs[static_cast<std::size_t>(touch.other)].position;
  const double size = length(between);
  return size > 0 ? between / size : Vec2{0, 1};
}

double DiscSystem::gap_of(Touch touch) const {
  const Disc& disc = discs[touch.disc];
  if (touch.other < 0) {
    const Wall& wall = walls[static_cast<std::size_t>(-1 - touch.other)];
    return dot(disc.position - wall.point, wall.normal) - disc.radius;
  }
  const Disc& other = discs[static_cast<std::size_t>(touch.other)];
  return length(disc.position - other.position) - disc.radius - other.radius;
}

Vec2 DiscSystem::approach_of(Touch touch, Vec2 normal) const {
  const Disc& disc = discs[touch.disc];
  // The touching point is at −radius · normal of the disc.
  Vec2 velocity = disc.velocity - perpendicular(normal) * (disc.omega * disc.radius);
  if (touch.other >= 0) {
    const Disc& other = discs[static_cast<std::size_t>(touch.other)];
    velocity -= other.velocity + perpendicular(normal) * (other.omega * other.radius);
  }
  return velocity;
}

void DiscSystem::apply(Touch touch, Vec2 normal, Vec2 impulse) {
  Disc& disc = discs[touch.disc];
  disc.velocity += impulse / disc.mass;
  disc.omega += cross(normal * -disc.radius, impulse) / disc.inertia();
  if (touch.other < 0) return;
  Disc& other = discs[static_cast<std::size_t>(touch.other)];
  other.velocity -= impulse / other.mass;
  other.omega -= cross(normal * other.radius, impulse) / other.inertia();
}

// Slower than what gravity gives in 4 ms: such impacts do not bounce. Zero without gravity.
double DiscSystem::slow() const { return 0.004 * length(gravity); }

void DiscSystem::record(Touch touch, double impulse) {
  const int a = static_cast<int>(touch.disc);
  const int b = touch.other < 0 ? walls[static_cast<std::size_t>(-1 - touch.other)].id : static_cast<int>(touch.other);
  for (ContactState& contact : contacts_) {
    if (contact.a == a && contact.b == b) {
      contact.impulse += impulse;
      return;
    }
  }
  contacts_.push_back({a, b, impulse});
}

std::vector<ContactState> DiscSystem::take_contacts() { return std::exchange(contacts_, {}); }

void DiscSystem::find_resting() {
  resting_.clear();
  const auto consider = [&](Touch touch) {
    if (gap_of(touch) > kTouching) return;
    const Vec2 normal = normal_of(touch);
    if (std::abs(dot(approach_of(touch, normal), normal)) <= slow()) resting_.push_back({touch, normal});
  };
  for (std::size_t i = 0; i < discs.size(); ++i) {
    if (!discs[i].present) continue;
    for (std::size_t w = 0; walls_touch && w < walls.size(); ++w) consider({i, -1 - static_cast<std::ptrdiff_t>(w)});
    for (std::size_t j = i + 1; discs_touch && j < discs.size(); ++j) {
      if (discs[j].present) consider({i, static_cast<std::ptrdiff_t>(j)});
    }
  }
}

bool DiscSystem::is_resting(Touch touch) const {
  return std::any_of(resting_.begin(), resting_.end(), [&](const Resting& have) {
    return have.touch.disc == touch.disc && have.touch.other == touch.other;
  });
}

// Constant accelerations for the next h seconds under which no resting contact closes.
void DiscSystem::accelerations(double h) {
  acceleration_.assign(discs.size(), gravity);
  spin_up_.assign(discs.size(), 0.0);
  if (resting_.empty()) return;
  std::vector<Disc> before = discs;
  for (Disc& disc : discs) disc.velocity += gravity * h;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (Resting& rest : resting_) {
      const Disc& disc = discs[rest.touch.disc];
      double inverse_mass = 1 / disc.mass, tangent_mass = inverse_mass + disc.radius * disc.radius / disc.inertia();
      double friction = disc.friction;
      if (rest.touch.other >= 0) {
        const Disc& other = discs[static_cast<std::size_t>(rest.touch.other)];
        inverse_mass += 1 / other.mass;
        tangent_mass += 1 / other.mass + other.radius * other.radius / other.inertia();
        friction = std::sqrt(friction * other.friction);
      }
      const double closing = dot(approach_of(rest.touch, rest.normal), rest.normal);
      const double wanted = std::max(0.0, rest.normal_impulse - closing / inverse_mass);
      apply(rest.touch, rest.normal, rest.normal * (wanted - rest.normal_impulse));
      rest.normal_impulse = wanted;
      const Vec2 tangent = perpendicular(rest.normal);
      const double sliding = dot(approach_of(rest.touch, rest.normal), tangent), most = friction * rest.normal_impulse;
      const double grip = std::clamp(rest.tangent_impulse - sliding / tangent_mass, -most, most);
      apply(rest.touch, rest.normal, tangent * (grip - rest.tangent_impulse));
      rest.tangent_impulse = grip;
    }
  }
  for (const Resting& rest : resting_) {
    if (rest.touch.other >= 0) continue;
    Disc& disc = discs[rest.touch.disc];
    // Rolling resistance slows spin and motion together, so that rolling stays rolling.
    const double slower = std::min(std::abs(disc.omega), disc.rolling * rest.normal_impulse /
                                                             (disc.mass * disc.radius * (1 + disc.inertia_share)));
    const double change = std::copysign(slower, -disc.omega);
    const Vec2 tangent = perpendicular(rest.normal);
    if (disc.rolling > 0 && std::abs(dot(approach_of(rest.touch, rest.normal), tangent)) < slow()) {
      disc.omega += change;
      disc.velocity += tangent * (change * disc.radius);
    }
  }
  for (std::size_t i = 0; i < discs.size(); ++i) {
    acceleration_[i] = (discs[i].velocity - before[i].velocity) / h;
    spin_up_[i] = (discs[i].omega - before[i].omega) / h;
    discs[i] = before[i];
  }
}

bool DiscSystem::earliest(double limit, double* when, Touch* which) const {
  double best = limit;
  bool found = false;
  const auto consider = [&](Touch touch, double t) {
    if (t < 0 || t > best || (found && t == best)) return;
    best = t, *which = touch, found = true;
  };
  for (std::size_t i = 0; i < discs.size(); ++i) {
    const Disc& disc = discs[i];
    if (!disc.present) continue;
    for (std::size_t w = 0; walls_touch && w < walls.size(); ++w) {
      const Touch touch{i, -1 - static_cast<std::ptrdiff_t>(w)};
      if (is_resting(touch)) continue;
      const Vec2 n = walls[w].normal;
      consider(touch, first_fall(0.5 * dot(acceleration_[i], n), dot(disc.velocity, n), gap_of(touch), limit));
    }
    for (std::size_t j = i + 1; discs_touch && j < discs.size(); ++j) {
      const Touch touch{i, static_cast<std::ptrdiff_t>(j)};
      if (!discs[j].present || is_resting(touch)) continue;
      const Disc& other = discs[j];
      const Vec2 p = disc.position - other.position, v = disc.velocity - other.velocity,
                 a = acceleration_[i] - acceleration_[j];
      const double reach = disc.radius + other.radius, square = reach * reach;
      const auto excess = [&](double t) {
        const Vec2 at = p + v * t + a * (0.5 * t * t);
        return dot(at, at) - square;
      };
      if (excess(0) <= 0) {
        if (dot(p, v) < 0) consider(touch, 0);
        continue;
      }
      if (excess(best) > 0) continue;
      double low = 0, high = best;
      for (int k = 0; k < 52; ++k) {
        const double middle = 0.5 * (low + high);
        (excess(middle) > 0 ? low : high) = middle;
      }
      consider(touch, high);
    }
  }
  *when = best;
  return found;
}

void DiscSystem::move(double t) {
  for (std::size_t i = 0; i < discs.size(); ++i) {
    Disc& disc = discs[i];
    if (!disc.present) continue;
    disc.position += disc.velocity * t + acceleration_[i] * (0.5 * t * t);
    disc.velocity += acceleration_[i] * t;
    disc.angle += disc.omega * t + 0.5 * spin_up_[i] * t * t;
    disc.omega += spin_up_[i] * t;
  }
}

void DiscSystem::impact(Touch touch) {
  const Vec2 normal = normal_of(touch), tangent = perpendicular(normal);
  const Disc& disc = discs[touch.disc];
  double inverse_mass = 1 / disc.mass, tangent_mass = inverse_mass + disc.radius * disc.radius / disc.inertia();
  double friction = disc.friction, restitution = disc.restitution;
  if (touch.other >= 0) {
    const Disc& other = discs[static_cast<std::size_t>(touch.other)];
    inverse_mass += 1 / other.mass;
    tangent_mass += 1 / other.mass + other.radius * other.radius / other.inertia();
    friction = std::sqrt(friction * other.friction);
    restitution = std::max(restitution, other.restitution);
  }
  const Vec2 velocity = approach_of(touch, normal);
  const double closing = dot(velocity, normal);
  if (closing >= 0) return;
  if (-closing <= slow()) restitution = 0;
  const double push = -(1 + restitution) * closing / inverse_mass;
  const double grip = std::clamp(-dot(velocity, tangent) / tangent_mass, -friction * push, friction * push);
  apply(touch, normal, normal * push + tangent * grip);
  if (lawless_kick > 0 && touch.other >= 0) {
    discs[touch.disc].velocity += tangent * lawless_kick;
    discs[static_cast<std::size_t>(touch.other)].velocity += tangent * lawless_kick;
  }
  record(touch, push);
}

// Rounding lets resting contacts sink or part by nanometres; put them back to touching.
// In a pile one correction undoes another, hence the sweeps.
void DiscSystem::separate_resting() {
  bool sunk = true;
  for (int sweep = 0; sweep < kSweeps && sunk; ++sweep) {
    sunk = false;
    for (const Resting& rest : resting_) {
      const double gap = gap_of(rest.touch);
      if (gap >= -1e-12) continue;
      sunk = true;
      const Vec2 normal = normal_of(rest.touch);
      Disc& disc = discs[rest.touch.disc];
      if (rest.touch.other < 0) {
        disc.position -= normal * gap;
      } else {
        Disc& other = discs[static_cast<std::size_t>(rest.touch.other)];
        const double share = other.mass / (disc.mass + other.mass);
        disc.position -= normal * (gap * share);
        other.position += normal * (gap * (1 - share));
      }
    }
  }
}

void DiscSystem::substep(double h) {
  double left = h;
  for (int events = 0; left > 0; ++events) {
    find_resting();
    accelerations(left);
    double when = left;
    Touch which{};
    const bool hit = events < kMostEvents && earliest(left, &when, &which);
    move(when);
    for (const Resting& rest : resting_) {
      if (rest.normal_impulse > 0 && when > 0) record(rest.touch, rest.normal_impulse * when / left);
    }
    separate_resting();
    if (hit) impact(which);
    left -= when;
  }
}

void DiscSystem::advance(double seconds) {
  const int steps = std::max(1, static_cast<int>(std::ceil(seconds / longest_step - 1e-9)));
  for (int i = 0; i < steps; ++i) substep(seconds / steps);
}

}  // namespace orrery::worlds
