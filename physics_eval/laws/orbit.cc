// Orbits: round a body that stands still, the pull points to it and falls with the square of the distance: −a_r r² is
// the same all the way, and nothing pulls along the way: r × v never grows.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

constexpr int kWindow = 9;

// What a window says: strength towards and across, pixels³ a frame², and their standard error.
struct Pull {
  int first = 0;
  double towards = 0, across = 0, sigma = 0, angle = 0;
  /// r × v, pixels² a frame, and its standard error.
  double momentum = 0, momentum_sigma = 0;
};

Vec resting_place(const Path& path) {
  std::vector<double> x, y;
  for (int t = 0; t < path.frames(); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    x.push_back(path.at[static_cast<Size>(t)].x), y.push_back(path.at[static_cast<Size>(t)].y);
  }
  return {median(std::move(x)), median(std::move(y))};
}

std::vector<Pull> pulls_of(const Path& path, Vec centre) {
  std::vector<Pull> out;
  for (int first = 0; first + kWindow <= path.frames(); ++first) {
    bool clean = true;
    for (int t = first; t < first + kWindow; ++t) clean = clean && path.clean[static_cast<Size>(t)];
    if (!clean) continue;
    const double middle = first + (kWindow - 1) / 2.0;
    const Fit fit = fit_path(path, first, first + kWindow - 1, 3, middle);
    if (!fit.ok) continue;
    const Vec a = fit.coefficient[2] * 2, out_of = fit.coefficient[0] - centre;
    const double r = length(out_of);
    if (r < 3) continue;
    const Vec v = fit.coefficient[1];
    out.push_back({first, -dot(a, out_of) * r, (a.x * out_of.y - a.y * out_of.x) * r, 2 * fit.sigma[2] * r * r,
                   std::atan2(out_of.y, out_of.x), std::abs(out_of.x * v.y - out_of.y * v.x), fit.sigma[1] * r});
  }
  return out;
}

double allowance(const Pull& pull, double usual) { return std::max(0.12 * usual, 4 * pull.sigma); }

// The strength that most windows agree on; 0 when no third of them does, or they show too little of the way round: the
// rest of the way may be what breaks the law.
double common_strength(const std::vector<Pull>& pulls) {
  std::vector<double> best;
  double best_turn = 0;
  for (const Pull& centre : pulls) {
    if (centre.towards < 5 * centre.sigma) continue;
    std::vector<double> group;
    double turn = 0, last = 0;
    for (const Pull& p : pulls) {
      if (std::abs(p.towards - centre.towards) > allowance(p, centre.towards) ||
          std::abs(p.across) > allowance(p, centre.towards))
        continue;
      if (!group.empty()) turn += std::abs(std::remainder(p.angle - last, 6.283185307179586));
      last = p.angle;
      group.push_back(p.towards);
    }
    if (group.size() > best.size()) best = std::move(group), best_turn = turn;
  }
  if (best.size() < 8 || best.size() * 3 < pulls.size() || best_turn < 0.5) return 0;
  return median(std::move(best));
}

void test_strength(const std::vector<Pull>& pulls, double usual, int id, Verdict& out) {
  std::vector<double> run;
  int begin = 0;
  for (Size i = 0; i <= pulls.size(); ++i) {
    double off = 0;
    if (i < pulls.size()) {
      const double limit = std::max(0.3 * usual, 5 * pulls[i].sigma);
      off = std::hypot(pulls[i].towards - usual, pulls[i].across) / limit;
    }
    if (off > 0.5) {
      if (run.empty()) begin = pulls[i].first + kWindow / 2;
      run.push_back(off);
      continue;
    }
    if (run.size() >= 3) {
      const int last = begin + static_cast<int>(run.size());
      std::sort(run.begin(), run.end());
      out.add(begin, last, run[run.size() * 2 / 3], {id}, say("body %d is pulled round by another strength", id));
    }
    run.clear();
  }
}

// Friction takes from r × v; nothing that pulls towards the centre can give to it.
void test_momentum_about(const std::vector<Pull>& pulls, int id, Verdict& out) {
  double gain = 0, sigma = 0;
  Size from = 0, to = 0, least = 0;
  for (Size i = 0; i < pulls.size(); ++i) {
    if (pulls[i].momentum < pulls[least].momentum) least = i;
    const double here = pulls[i].momentum / pulls[least].momentum - 1;
    if (here > gain) gain = here, from = least, to = i, sigma = pulls[i].momentum_sigma / pulls[i].momentum;
  }
  if (gain <= 0) return;
  Size begin = from;
  while (begin < to && pulls[begin].momentum < pulls[from].momentum * (1 + 0.15 * gain)) ++begin;
  const int frame = pulls[begin].first + kWindow / 2;
  out.add(frame, pulls[to].first + kWindow - 1, gain / (0.06 + 8 * sigma), {id},
          say("body %d goes round ever faster: r x v grows by %.0f%%", id, 100 * gain));
}

}  // namespace

namespace {

// The windows of a body about the resting body that it goes round; none when there is no such body.
std::vector<Pull> orbit_of(const Context& context, Size body, double& strength) {
  const Path& path = context.paths[body];
  if (!path.moves() || path.attached || context.swings[body] || path.count < 2 * kWindow) return {};
  for (const Path& star : context.paths) {
    if (&star == &path || star.track->moves || !star.rigid || star.count < 10) continue;
    std::vector<Pull> pulls = pulls_of(path, resting_place(star));
    if (pulls.size() < 12) continue;
    strength = common_strength(pulls);
    if (strength > 0) return pulls;
  }
  return {};
}

// The windows of a body that all its way is pulled towards a resting body, by whatever strength, and goes round it;
// none when there is no such body.
std::vector<Pull> round_of(const Context& context, Size body) {
  const Path& path = context.paths[body];
  const auto pushed = [&](const Event& event) { return event.body == static_cast<int>(body); };
  if (!path.moves() || path.attached || std::any_of(context.events.begin(), context.events.end(), pushed)) return {};
  for (const Path& star : context.paths) {
    if (&star == &path || star.track->moves || !star.rigid || !star.round || star.count < 10) continue;
    std::vector<Pull> pulls = pulls_of(path, resting_place(star));
    Size towards = 0;
    double turn = 0;
    for (Size i = 0; i < pulls.size(); ++i) {
      towards += pulls[i].towards > std::max(5 * pulls[i].sigma, 0.9 * std::hypot(pulls[i].towards, pulls[i].across));
      if (i > 0) turn += std::remainder(pulls[i].angle - pulls[i - 1].angle, 6.283185307179586);
    }
    if (pulls.size() >= 15 && towards * 10 >= pulls.size() * 9 && std::abs(turn) > 1.2) return pulls;
  }
  return {};
}

}  // namespace

std::vector<char> find_orbits(const Context& context) {
  std::vector<char> out(context.paths.size(), 0);
  double strength = 0;
  for (Size b = 0; b < context.paths.size(); ++b) out[b] = !orbit_of(context, b, strength).empty();
  return out;
}

Verdict test_orbit(const Context& context) {
  Verdict out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    double strength = 0;
    const std::vector<Pull> pulls = orbit_of(context, b, strength);
    if (pulls.empty()) {
      const std::vector<Pull> round = round_of(context, b);
      out.applies = out.applies || !round.empty();
      test_momentum_about(round, context.paths[b].track->id, out);
      continue;
    }
    out.applies = true;
    const double squared = context.tracks->fps * context.tracks->fps;
    out.measured.push_back({"gravitational_parameter", strength * squared, 0.02 * strength * squared, "px3/s2"});
    test_strength(pulls, strength, context.paths[b].track->id, out);
    test_momentum_about(pulls, context.paths[b].track->id, out);
  }
  return out;
}

}  // namespace orrery::laws
