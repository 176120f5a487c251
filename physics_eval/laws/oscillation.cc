// Swings and springs: the acceleration along the path follows the displacement by one law throughout, and the swing's
// energy does not grow.
//
// Pendulum: θ″ = −k sin θ − c θ′ about the circle's centre. Spring: s″ = −k (s − s₀) − c s′ along a line. Derivatives
// are Savitzky–Golay (cubic, 7 frames); the coefficients are those that explain most of the clip, so that a part of it
// that moves by another law stands out.
#include <algorithm>
#include <array>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

struct Circle {
  Vec centre;
  double radius = 0, rms = 1e9;
};

// Kåsa's algebraic circle, about the points' mean.
Circle fit_circle(const std::vector<Vec>& points) {
  Vec mean;
  for (const Vec& p : points) mean = mean + p * (1.0 / static_cast<double>(points.size()));
  double xx = 0, xy = 0, yy = 0, xz = 0, yz = 0;
  for (const Vec& p : points) {
    const Vec d = p - mean;
    const double z = dot(d, d);
    xx += d.x * d.x, xy += d.x * d.y, yy += d.y * d.y, xz += d.x * z, yz += d.y * z;
  }
  const double det = 2 * (xx * yy - xy * xy);
  Circle out;
  if (std::abs(det) < 1e-9) return out;
  const Vec c{(xz * yy - yz * xy) / det, (yz * xx - xz * xy) / det};
  out.centre = mean + c;
  double sum = 0;
  for (const Vec& p : points) sum += length(p - out.centre);
  out.radius = sum / static_cast<double>(points.size());
  double square = 0;
  for (const Vec& p : points) square += (length(p - out.centre) - out.radius) * (length(p - out.centre) - out.radius);
  out.rms = std::sqrt(square / static_cast<double>(points.size()));
  return out;
}

// One coordinate along the path over runs of clean frames, with derivatives where a window of seven fits.
struct Motion {
  std::vector<int> frame;
  std::vector<double> s, v, a;
  double noise_a = 0;  // of the second derivative
};

Motion differentiate(const std::vector<int>& frame, const std::vector<double>& s, double noise) {
  constexpr std::array<double, 7> kFirst{22, -67, -58, 0, 58, 67, -22}, kSecond{5, 0, -3, -4, -3, 0, 5};
  Motion out;
  for (Size i = 3; i + 3 < s.size(); ++i) {
    if (frame[i + 3] - frame[i - 3] != 6) continue;
    double v = 0, a = 0;
    for (Size k = 0; k < 7; ++k) v += kFirst[k] * s[i + k - 3], a += kSecond[k] * s[i + k - 3];
    out.frame.push_back(frame[i]);
    out.s.push_back(s[i]), out.v.push_back(v / 252), out.a.push_back(a / 42);
  }
  out.noise_a = noise * std::sqrt(84.0) / 42;
  return out;
}

// The frequency, radians a frame, whose sine has that ratio of −a to s: what the second derivative's window takes from
// a sine, (4 + 6 cos ω − 10 cos 3ω) / 42 for ω², is known, so no quick swing is measured as a slower one.
double frequency_of(double force) {
  double low = 0, high = 0.85;  // it grows up to there
  const auto ratio = [](double w) { return (4 + 6 * std::cos(w) - 10 * std::cos(3 * w)) / 42; };
  if (force >= ratio(high)) return std::sqrt(force);
  for (int round = 0; round < 50; ++round) {
    const double middle = 0.5 * (low + high);
    (ratio(middle) < force ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

// a ≈ x₀ f + x₁ v + x₂ by iteratively reweighted least squares (Cauchy), with or without the constant, from the weights
// given. `inlier`: what it explains.
struct Law {
  double force = 0, drag = 0, constant = 0;
  std::vector<double> residual;
  std::vector<char> inlier;
};

void solve_law(const Motion& m, const std::vector<double>& f, bool constant, const std::vector<double>& weight,
               Law& law) {
  double a[3][4] = {};
  for (Size i = 0; i < f.size(); ++i) {
    const double row[3] = {f[i], m.v[i], constant ? 1.0 : 0.0};
    for (Size r = 0; r < 3; ++r) {
      for (Size c = 0; c < 3; ++c) a[r][c] += weight[i] * row[r] * row[c];
      a[r][3] += weight[i] * row[r] * m.a[i];
    }
  }
  for (Size r = 0; r < 3; ++r) a[r][r] += 1e-12;
  for (Size c = 0; c < 3; ++c) {
    for (Size r = 0; r < 3; ++r) {
      if (r == c) continue;
      const double factor = a[r][c] / a[c][c];
      for (Size k = c; k < 4; ++k) a[r][k] -= factor * a[c][k];
    }
  }
  law.force = a[0][3] / a[0][0], law.drag = a[1][3] / a[1][1], law.constant = constant ? a[2][3] / a[2][2] : 0;
  law.residual.assign(f.size(), 0);
  for (Size i = 0; i < f.size(); ++i) law.residual[i] = m.a[i] - law.force * f[i] - law.drag * m.v[i] - law.constant;
}

// The law that explains most of the clip: fitted to each stretch of eleven frames, the best one is refined on what it
// explains. A clip that goes over to another law half-way still shows the one that it began or ended with.
Law fit_law(const Motion& m, const std::vector<double>& f, bool constant) {
  const Size n = f.size(), span = std::min<Size>(n, 11);
  double usual = 0;
  for (const double a : m.a) usual += a * a;
  const double limit = std::max(3 * m.noise_a, 0.1 * std::sqrt(usual / static_cast<double>(n)));
  Law best, law;
  Size most = 0;
  const auto count = [&](Law& one) {
    one.inlier.assign(n, 0);
    Size inliers = 0;
    for (Size i = 0; i < n; ++i) inliers += one.inlier[i] = std::abs(one.residual[i]) < limit;
    return inliers;
  };
  for (Size first = 0; first + span <= n; first += 2) {
    std::vector<double> weight(n, 0);
    std::fill_n(weight.begin() + static_cast<std::ptrdiff_t>(first), span, 1.0);
    solve_law(m, f, constant, weight, law);
    const auto [low, high] = std::minmax_element(f.begin() + static_cast<std::ptrdiff_t>(first),
                                                 f.begin() + static_cast<std::ptrdiff_t>(first + span));
    const bool pulls = law.force * (*high - *low) > 4 * m.noise_a;  // straight on is no swing
    const Size inliers = count(law);
    if (pulls && (inliers > most || best.inlier.empty())) most = inliers, best = law;
  }
  if (best.inlier.empty()) best.inlier.assign(n, 0), best.residual.assign(n, 0);
  for (int round = 0; round < 10 && most > 0; ++round) {
    std::vector<double> weight(n, 0);
    for (Size i = 0; i < n; ++i) {
      const double r = best.residual.empty() ? 0 : best.residual[i] / (0.5 * limit);
      weight[i] = std::abs(r) < 4 ? 1 / (1 + r * r) : 0;
    }
    law = best;
    solve_law(m, f, constant, weight, law);
    const Size inliers = count(law);
    if (inliers + 1 < most) break;
    most = std::max(most, inliers), best = law;
  }
  return best;
}

// Share of the acceleration that the law leaves over, where it holds.
double unexplained(const Motion& m, const Law& law, double mean) {
  double over = 0, total = 0;
  for (Size i = 0; i < m.a.size(); ++i) {
    if (!law.inlier[i]) continue;
    total += std::abs(m.a[i] - mean), over += std::min(std::abs(m.a[i] - mean), std::abs(law.residual[i]));
  }
  return total > 0 ? over / total : 1;
}

// The law holds in a good part of the clip: else it is another kind of motion. Less will do for what is seen to hang.
bool mostly_explained(const Law& law, bool hangs = false) {
  int run = 0, longest = 0, all = 0;
  for (const char in : law.inlier) run = in ? run + 1 : 0, longest = std::max(longest, run), all += in;
  return longest >= 9 && all * 10 >= static_cast<int>(law.inlier.size()) * (hangs ? 2 : 3);
}

// Findings where the residual, averaged over five frames, is beyond noise and a share of the usual acceleration.
void test_residual(const Motion& m, const Law& law, const std::vector<double>& f, int id, Verdict& out) {
  double usual = 0;
  for (const double v : f) usual += law.force * law.force * v * v;
  usual = std::sqrt(usual / static_cast<double>(f.size()));
  const double limit = std::max(4 * m.noise_a, 0.16 * usual);
  int begin = -1;
  double worst = 0;
  for (Size i = 2; i + 2 < f.size(); ++i) {
    double sum = 0;
    for (Size k = i - 2; k <= i + 2; ++k) sum += law.residual[k];
    const double severity = std::abs(sum / 5) / limit;
    if (severity > 0.6) {
      if (begin < 0) begin = m.frame[i];
      worst = std::max(worst, severity);
    }
    if (begin >= 0 && (severity <= 0.6 || i + 3 == f.size())) {
      // When it is the beginning that departs from the law, the break is where the law begins.
      const bool at_first = begin <= m.frame[3] && severity <= 0.6;
      const int frame = at_first ? m.frame[i] : begin;
      out.add(frame, m.frame[i], worst, {id}, say("body %d swings by another law than before", id));
      begin = -1, worst = 0;
    }
  }
}

// Energy per inertia with the fitted force: v²/2 − force·∫f; it may fall, not rise.
void test_energy(const Motion& m, const std::vector<double>& potential, int id, Verdict& out) {
  if (m.s.size() < 12) return;
  std::vector<double> energy;
  for (Size i = 0; i < m.s.size(); ++i) energy.push_back(0.5 * m.v[i] * m.v[i] + potential[i]);
  const double depth =
      *std::max_element(energy.begin(), energy.end()) - *std::min_element(potential.begin(), potential.end());
  if (depth <= 0) return;
  std::vector<double> smooth;
  double lowest = 1e18, rise = 0;
  Size low = 0, from = 0;
  for (Size i = 3; i + 3 < energy.size(); ++i) {
    smooth.push_back(median(
        {energy.begin() + static_cast<std::ptrdiff_t>(i - 3), energy.begin() + static_cast<std::ptrdiff_t>(i + 4)}));
    if (smooth.back() < lowest) lowest = smooth.back(), low = i;
    if (smooth.back() - lowest > rise) rise = smooth.back() - lowest, from = low;
  }
  if (rise <= 0) return;
  // The rise begins where it leaves the lowest energy for good.
  Size begin = from;
  while (begin + 4 < energy.size() && smooth[begin - 3] < smooth[from - 3] + 0.25 * rise) ++begin;
  const int frame = m.frame[begin];
  out.add(frame, frame + 3, rise / depth / 0.16, {id},
          say("body %d swings ever higher: energy up by %.0f%%", id, 100 * rise / depth));
}

// From one sighting to the next it goes much farther than it ever does in a frame: it may be another one then.
bool leaps(const Path& path) {
  double fastest = 0, farthest = 0;
  int last = -1;
  for (int t = 0; t < path.frames(); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    if (last >= 0) {
      const double step = length(path.at[static_cast<Size>(t)] - path.at[static_cast<Size>(last)]) / (t - last);
      double& most = t - last == 1 ? fastest : farthest;
      most = std::max(most, step);
    }
    last = t;
  }
  return farthest > 2 * fastest + 2;
}

// Pushed by something, or one of several that hang together: no simple swing.
bool eventful(const Context& context, Size body) {
  int count = 0, held = 0;
  for (const Path& path : context.paths) held += path.rigid && path.attached;
  if (held > 1 || leaps(context.paths[body])) return true;
  for (const Event& event : context.events) {
    if (event.body != static_cast<int>(body)) continue;
    // A wall turns what meets it round; what passes near one or turns there by itself does not meet it.
    const bool early = event.frame < 4 || event.frame + 4 > context.frames;  // a quick turn there looks like a push
    const double change = length(event.change), before = length(event.before);
    const bool met = event.on_solid && !early && change > 0.5 * before && before > 0.4 * change;
    count += met || (event.other >= 0 && context.paths[static_cast<Size>(event.other)].rigid);
  }
  // … or hanging side by side with others: what they give one another shows in no event of its own.
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (j == body || !context.paths[j].rigid) continue;
    int close = 0;
    for (int t = 0; t < context.frames; ++t) close += touching(context.paths[body], context.paths[j], t, 2);
    if (close > 1 || linked(context.paths[body], context.paths[j])) return true;
  }
  return count > 0;
}

void collect(const Path& path, std::vector<int>& frame, std::vector<Vec>& point) {
  for (int t = 0; t < path.frames(); ++t) {
    if (path.clean[static_cast<Size>(t)]) frame.push_back(t), point.push_back(path.at[static_cast<Size>(t)]);
  }
}

bool test_pendulum(const Context& context, const Path& path, Verdict& out) {
  std::vector<int> frame;
  std::vector<Vec> point;
  collect(path, frame, point);
  if (point.size() < 16) return false;
  const Circle circle = fit_circle(point);
  if (circle.rms > std::max(0.2, 4 * path.noise) || circle.radius < 2 * path.radius ||
      circle.radius > 3 * context.tracks->height)
    return false;
  std::vector<double> theta;
  for (const Vec& p : point) {
    double angle = std::atan2(p.x - circle.centre.x, p.y - circle.centre.y);
    if (!theta.empty()) angle += 2 * 3.14159265358979 * std::round((theta.back() - angle) / (2 * 3.14159265358979));
    theta.push_back(angle);
  }
  const auto [low, high] = std::minmax_element(theta.begin(), theta.end());
  if ((*high - *low) * circle.radius < 4 || *high - *low < 0.2) return false;
  const Motion m = differentiate(frame, theta, path.noise / circle.radius);
  if (m.s.size() < 12) return false;
  std::vector<double> force, potential;
  for (const double s : m.s) force.push_back(-std::sin(s));
  const Law law = fit_law(m, force, false);
  // A circle that gravity explains: not an orbit, and not a ball on a table.
  double total = 0;
  for (const double a : m.a) total += std::abs(a);
  if (total < 4 * m.noise_a * static_cast<double>(m.a.size()) || law.force <= 0 || unexplained(m, law, 0) > 0.4 ||
      !mostly_explained(law, path.attached && path.round))
    return false;
  out.applies = true;
  for (const double s : m.s) potential.push_back(-law.force * std::cos(s));
  test_residual(m, law, force, path.track->id, out);
  test_energy(m, potential, path.track->id, out);
  const double period = 2 * 3.14159265358979 / frequency_of(law.force) / context.tracks->fps;
  out.measured.push_back({"pendulum_length", circle.radius, path.noise, "px"});
  out.measured.push_back({"small_swing_period", period, period * 0.01, "s"});
  return true;
}

// Nothing strikes it, and it is held, or no fluid is about: what bobs in one drives waves, and they drive it.
bool may_swing(const Context& context, Size body) {
  const Path& path = context.paths[body];
  if (!path.moves() || context.orbits[body] || eventful(context, body)) return false;
  return path.attached ||
         std::none_of(context.paths.begin(), context.paths.end(), [](const Path& p) { return p.fluid >= 0; });
}

bool test_spring(const Context& context, const Path& path, Verdict& out) {
  std::vector<int> frame;
  std::vector<Vec> point;
  collect(path, frame, point);
  if (point.size() < 16) return false;
  Vec mean;
  for (const Vec& p : point) mean = mean + p * (1.0 / static_cast<double>(point.size()));
  double xx = 0, xy = 0, yy = 0;
  for (const Vec& p : point)
    xx += (p.x - mean.x) * (p.x - mean.x), xy += (p.x - mean.x) * (p.y - mean.y), yy += (p.y - mean.y) * (p.y - mean.y);
  const double angle = 0.5 * std::atan2(2 * xy, xx - yy), n = static_cast<double>(point.size());
  const double minor = ((xx + yy) - std::hypot(xx - yy, 2 * xy)) / 2 / n,
               major = ((xx + yy) + std::hypot(xx - yy, 2 * xy)) / 2 / n;
  if (std::sqrt(std::max(0.0, minor)) > std::max(0.2, 4 * path.noise) || major < 4) return false;
  const Vec along{std::cos(angle), std::sin(angle)};
  // What goes to and fro on a slope rolls there; a spring hangs, lies, or is seen.
  if (!path.attached && std::abs(along.x) > 0.15 && std::abs(along.y) > 0.15) return false;
  std::vector<double> s;
  for (const Vec& p : point) s.push_back(dot(p - mean, along));
  const Motion m = differentiate(frame, s, path.noise);
  if (m.s.size() < 12) return false;
  std::vector<double> force, potential;
  for (const double v : m.s) force.push_back(-v);
  const Law law = fit_law(m, force, true);
  double total = 0, mean_a = 0, count = 0, least = 1e18, greatest = -1e18;
  for (Size i = 0; i < m.a.size(); ++i) {
    if (!law.inlier.empty() && law.inlier[i])
      mean_a += m.a[i], ++count, least = std::min(least, m.s[i]), greatest = std::max(greatest, m.s[i]);
  }
  mean_a /= std::max(1.0, count);
  for (const double a : m.a) total += std::abs(a - mean_a);
  if (total < 4 * m.noise_a * static_cast<double>(m.a.size()) || law.force <= 0 || unexplained(m, law, mean_a) > 0.4 ||
      !mostly_explained(law))
    return false;
  // It swings about a place that it passes.
  const double rest = law.constant / law.force;
  if (rest < least || rest > greatest || law.force * (greatest - least) < 8 * m.noise_a) return false;
  out.applies = true;
  for (const double v : m.s) potential.push_back(0.5 * law.force * v * v - law.constant * v);
  test_residual(m, law, force, path.track->id, out);
  test_energy(m, potential, path.track->id, out);
  const double period = 2 * 3.14159265358979 / frequency_of(law.force) / context.tracks->fps;
  out.measured.push_back({"spring_period", period, period * 0.01, "s"});
  return true;
}

// A ball on a string or rod that others strike (a cradle): between contacts its kinetic energy changes with its height
// alone, by the same pull throughout. E and h a squared length of the string, p = g / length.
struct Struck {
  const Path* path = nullptr;
  Motion motion;
  std::vector<double> kinetic, height;
  double noise = 0;     // of the kinetic energy
  bool beside = false;  // others touch it and go along: what they give one another is not known, nor their seam
};

// Another touches it and does not go along with it.
bool strikes(const Context& context, Size body, int frame) {
  const Path& path = context.paths[body];
  for (Size j = 0; j < context.paths.size(); ++j) {
    const Path& other = context.paths[j];
    if (j == body || !touching(path, other, frame, 1.5)) continue;
    for (int t = std::max(1, frame); t <= std::min(context.frames - 1, frame + 1); ++t) {
      const Size i = static_cast<Size>(t);
      if (!path.clean[i] || !path.clean[i - 1] || !other.clean[i] || !other.clean[i - 1] ||
          length(path.at[i] - path.at[i - 1] - other.at[i] + other.at[i - 1]) > 0.3)
        return true;
    }
  }
  return false;
}

// One stretch between contacts; who is who among balls of one colour may change from one to the next.
bool make_struck(const Context& context, const Path& path, const std::vector<int>& frame, Struck& out) {
  if (frame.size() < 10) return false;
  std::vector<Vec> point;
  for (const int t : frame) point.push_back(path.at[static_cast<Size>(t)]);
  const Circle circle = fit_circle(point);
  if (circle.rms > std::max(0.12, 3 * path.noise) || circle.radius < 3 * path.radius ||
      circle.radius > context.tracks->height || circle.centre.y > point[0].y - 2 * path.radius)
    return false;
  std::vector<double> theta;
  for (const Vec& p : point) theta.push_back(std::atan2(p.x - circle.centre.x, p.y - circle.centre.y));
  const auto [low, high] = std::minmax_element(theta.begin(), theta.end());
  if ((*high - *low) * circle.radius < 6 || *high - *low < 0.15) return false;
  out.path = &path;
  out.motion = differentiate(frame, theta, path.noise / circle.radius);
  double fastest = 0;
  for (Size i = 0; i < out.motion.s.size(); ++i) {
    out.kinetic.push_back(0.5 * out.motion.v[i] * out.motion.v[i]);
    out.height.push_back(-std::cos(out.motion.s[i]));
    fastest = std::max(fastest, std::abs(out.motion.v[i]));
  }
  out.noise = fastest * 0.512 * path.noise / circle.radius;  // of the first derivative: √16674 / 252
  for (const int t : frame) {
    for (const Path& other : context.paths)
      out.beside = out.beside || (&other != &path && touching(path, other, t, 1.5));
  }
  return out.kinetic.size() >= 4;
}

void find_struck(const Context& context, Size body, std::vector<Struck>& out) {
  const Path& path = context.paths[body];
  if (!path.moves() || !path.round || path.fluid >= 0 || context.orbits[body] || context.swings[body]) return;
  std::vector<std::vector<int>> stretches(1);
  // What hangs by itself and swings by no one law is looked at in the same way.
  bool struck = path.attached && !eventful(context, body);
  for (int t = 0; t < context.frames; ++t) {
    const bool strike = path.clean[static_cast<Size>(t)] && strikes(context, body, t);
    struck = struck || strike;
    auto& now = stretches.back();
    const bool goes_on =
        path.clean[static_cast<Size>(t)] && !strike &&
        (now.empty() || (now.back() == t - 1 &&
                         length(path.at[static_cast<Size>(t)] - path.at[static_cast<Size>(t) - 1]) < path.radius));
    if (goes_on) {
      now.push_back(t);
    } else if (!now.empty()) {
      stretches.emplace_back();
    }
  }
  for (const auto& frames : stretches) {
    Struck one;
    if (struck && make_struck(context, path, frames, one)) out.push_back(std::move(one));
  }
}

void test_struck(const Context& context, Verdict& out) {
  std::vector<Struck> all;
  for (Size b = 0; b < context.paths.size(); ++b) {
    bool link = false;
    for (Size j = 0; j < context.paths.size(); ++j)
      link = link || (j != b && linked(context.paths[b], context.paths[j]));
    if (!link) find_struck(context, b, all);
  }
  constexpr Size kStep = 4;
  // Weighted median of −ΔK / Δh, the strings being of one length.
  std::vector<std::pair<double, double>> ratios;
  double total = 0, range = 0, noise = 0;
  const auto steps = [&](const Struck& one, const auto& use) {
    for (Size i = 0; i + kStep < one.kinetic.size(); ++i) {
      if (one.motion.frame[i + kStep] - one.motion.frame[i] == static_cast<int>(kStep))
        use(i, one.kinetic[i + kStep] - one.kinetic[i], one.height[i + kStep] - one.height[i]);
    }
  };
  for (const Struck& one : all) {
    steps(one, [&](Size, double dk, double dh) {
      if (std::abs(dh) < 1e-9) return;
      ratios.emplace_back(-dk / dh, std::abs(dh)), total += std::abs(dh);
    });
    range = std::max(range, *std::max_element(one.kinetic.begin(), one.kinetic.end()));
    noise = std::max(noise, one.noise);
  }
  if (ratios.size() < 4 || range < 8 * noise) return;
  std::sort(ratios.begin(), ratios.end());
  double pull = 0, sum = 0;
  for (const auto& [ratio, weight] : ratios) {
    sum += weight;
    if (sum >= 0.5 * total) {
      pull = ratio;
      break;
    }
  }
  out.applies = true;
  for (const Struck& one : all) {
    double worst = 0;
    int frame = -1, last = -1;
    steps(one, [&](Size i, double dk, double dh) {
      const double severity = std::abs(dk + pull * dh) / ((one.beside ? 3 : 1) * (0.1 * range + 5 * noise));
      if (severity > 0.7 && frame < 0) frame = one.motion.frame[i] + static_cast<int>(kStep) - 1;
      if (severity > 0.7) last = one.motion.frame[i] + 1;
      worst = std::max(worst, severity);
    });
    // When it is the beginning that departs, the break is where it comes to agree.
    if (frame == one.motion.frame[0] + static_cast<int>(kStep) - 1 && last + 8 < one.motion.frame.back()) frame = last;
    if (frame < 0 && !one.motion.frame.empty()) frame = one.motion.frame[0];
    const int id = one.path->track->id;
    out.add(frame, frame + 4, worst, {id}, say("body %d swings by another pull than before or than the others", id));
  }
}

}  // namespace

std::vector<char> find_swings(const Context& context) {
  std::vector<char> out(context.paths.size(), 0);
  for (Size b = 0; b < context.paths.size(); ++b) {
    Verdict unused;
    const Path& path = context.paths[b];
    if (path.moves() && !context.orbits[b] && !eventful(context, b))
      out[b] = test_pendulum(context, path, unused) || test_spring(context, path, unused);
  }
  return out;
}

Verdict test_oscillation(const Context& context) {
  Verdict out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    if (!may_swing(context, b)) continue;
    if (!test_pendulum(context, context.paths[b], out)) test_spring(context, context.paths[b], out);
  }
  test_linked(context, out);
  test_struck(context, out);
  return out;
}

}  // namespace orrery::laws
