#include "physics_eval/metrics/phyworld.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace orrery {

namespace {

using Size = std::size_t;

constexpr double kWorld = 10, kFrameSeconds = 0.1, kPi = 3.14159265358979323846;
constexpr int kFirst = 3;  // three frames are given to the model
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double mean_abs(const std::vector<double>& values, Size begin, Size end) {
  if (begin >= end) return kNan;
  double sum = 0;
  for (Size i = begin; i < end; ++i) sum += std::abs(values[i]);
  return sum / static_cast<double>(end - begin);
}

// |mean| of values[begin, end) in steps of `stride`.
double abs_mean(const std::vector<double>& values, Size begin, Size end, Size stride = 1) {
  if (begin >= end) return kNan;
  double sum = 0;
  for (Size i = begin; i < end; i += stride) sum += values[i];
  return std::abs(sum) * static_cast<double>(stride) / static_cast<double>(end - begin);
}

// max − min as Python's built-in min and max go over NaN: a comparison with it is false.
double range(const std::vector<double>& values) {
  double low = values[0], high = values[0];
  for (const double v : values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high - low;
}

void check_frames(std::span<const Frame> frames, Size truth) {
  ORRERY_CHECK(frames.size() == truth, "[phyworld] ", frames.size(), " frames and ", truth,
               " true states, expected as many");
}

}  // namespace

PhyWorldBall phyworld_ball(const Frame& frame, PhyWorldColour colour, PixelPitch pitch, const PhyWorldBall& otherwise) {
  const int own = colour == PhyWorldColour::red ? 0 : 2, other = 2 - own;
  std::int64_t count = 0, sum_x = 0, sum_y = 0;
  for (int y = 0; y < frame.height(); ++y) {
    for (int x = 0; x < frame.width(); ++x) {
      const std::uint8_t* p = frame.at(x, y);
      if (p[own] <= 127 || p[1] >= 127 || p[other] >= 127) continue;
      ++count, sum_x += x, sum_y += frame.height() - 1 - y;
    }
  }
  if (count == 0) return otherwise;
  const double unit = kWorld / (pitch == PixelPitch::published ? frame.width() : frame.width() - 1);
  const double n = static_cast<double>(count);
  return {static_cast<double>(sum_x) / n * unit, static_cast<double>(sum_y) / n * unit, std::sqrt(n / kPi) * unit};
}

PhyWorldOne phyworld_one(std::span<const Frame> frames, std::span<const std::array<double, 2>> truth, double radius,
                         double initial_speed, PixelPitch pitch, PhyWorldColour colour) {
  check_frames(frames, truth.size());
  PhyWorldOne out;
  PhyWorldBall last{kWorld, kNan, kNan};
  for (Size t = kFirst; t < truth.size(); ++t) {
    const auto& p = truth[t];
    if (p[0] - radius < 0 || p[0] + radius > kWorld || p[1] - radius < 0 || p[1] + radius > kWorld) continue;
    last.x = kWorld;
    last = phyworld_ball(frames[t], colour, pitch, last);
    out.frames.push_back(static_cast<int>(t));
    out.balls.push_back(last);
  }
  ORRERY_CHECK(out.frames.size() >= 2, "[phyworld] the ball is whole in ", out.frames.size(),
               " of the frames from the fourth on, expected at least 2");
  std::vector<double> dx, dy, radii, dvx, dvy, dv;
  double speed = 0;
  for (Size i = 0; i < out.balls.size(); ++i) {
    const auto& p = truth[static_cast<Size>(out.frames[i])];
    dx.push_back(out.balls[i].x - p[0]), dy.push_back(out.balls[i].y - p[1]);
    radii.push_back(out.balls[i].radius);
    if (i == 0) continue;
    const auto& q = truth[static_cast<Size>(out.frames[i - 1])];
    const double vx = (out.balls[i].x - out.balls[i - 1].x) / kFrameSeconds;
    const double vy = (out.balls[i].y - out.balls[i - 1].y) / kFrameSeconds;
    dvx.push_back(vx - (p[0] - q[0]) / kFrameSeconds), dvy.push_back(vy - (p[1] - q[1]) / kFrameSeconds);
    dv.push_back(std::hypot(dvx.back(), dvy.back()));
    speed += vx;
  }
  out.x_error = mean_abs(dx, 0, dx.size()), out.y_error = mean_abs(dy, 0, dy.size());
  out.vx_error = mean_abs(dvx, 0, dvx.size()), out.vy_error = mean_abs(dvy, 0, dvy.size());
  out.speed_error = mean_abs(dv, 0, dv.size());
  out.radius_range = range(radii);
  out.mean_speed_error = std::abs(speed / static_cast<double>(dvx.size()) - initial_speed);
  out.mean_velocity_error = abs_mean(dvx, 0, dvx.size()) + abs_mean(dvy, 0, dvy.size());
  return out;
}

namespace {

using Pair = std::array<double, 2>;

// Means of |values| over both balls before the contact and after it.
struct Parts {
  double before, after;
};

std::vector<double> flatten(const std::vector<Pair>& values) {
  std::vector<double> flat;
  for (const Pair& v : values) flat.insert(flat.end(), v.begin(), v.end());
  return flat;
}

Parts parts(const std::vector<Pair>& values, int before_end, int after_begin) {
  const std::vector<double> flat = flatten(values);
  return {mean_abs(flat, 0, 2 * static_cast<Size>(before_end)),
          mean_abs(flat, 2 * static_cast<Size>(after_begin), flat.size())};
}

// The same with the mean taken first, ball by ball.
Parts mean_parts(const std::vector<Pair>& values, int before_end, int after_begin) {
  const std::vector<double> flat = flatten(values);
  const Size middle = 2 * static_cast<Size>(before_end), after = 2 * static_cast<Size>(after_begin);
  // Ball 2 starts one further on, and its part is as long.
  const auto both = [&](Size begin, Size end) {
    return 0.5 * (abs_mean(flat, begin, end, 2) + abs_mean(flat, begin + 1, end + 1, 2));
  };
  return {both(0, middle), both(after, flat.size())};
}

int find_contact(const std::vector<Pair>& true_v) {
  for (Size i = 1; i < true_v.size(); ++i) {
    if (std::abs(true_v[i][0] - true_v[i - 1][0]) > 0.1 || std::abs(true_v[i][1] - true_v[i - 1][1]) > 0.1) {
      return static_cast<int>(i);
    }
  }
  return static_cast<int>(true_v.size()) - 1;
}

}  // namespace

PhyWorldTwo phyworld_two(std::span<const Frame> frames, std::span<const std::array<std::array<double, 2>, 2>> truth,
                         const PhyWorldPair& initial, PixelPitch pitch) {
  check_frames(frames, truth.size());
  PhyWorldTwo out;
  std::array<PhyWorldBall, 2> last{PhyWorldBall{0, kNan, kNan}, PhyWorldBall{kWorld, kNan, kNan}};
  for (Size t = kFirst; t < truth.size(); ++t) {
    if (truth[t][0][0] - initial.radius[0] < 0 || truth[t][1][0] + initial.radius[1] > kWorld) continue;
    const double y = last[0].y;  // the evaluator uses ball 1's for both
    last[0] = phyworld_ball(frames[t], PhyWorldColour::red, pitch, {0, y, last[0].radius});
    last[1] = phyworld_ball(frames[t], PhyWorldColour::blue, pitch, {kWorld, y, last[1].radius});
    out.frames.push_back(static_cast<int>(t));
    out.balls.push_back(last);
  }
  ORRERY_CHECK(out.frames.size() >= 2, "[phyworld] both balls are in the picture in ", out.frames.size(),
               " of the frames from the fourth on, expected at least 2");
  std::vector<Pair> dx, dv, true_v;
  std::vector<double> momentum, energy, radii[2];
  const Pair mass{initial.radius[0] * initial.radius[0], initial.radius[1] * initial.radius[1]};
  const double p0 = mass[0] * initial.speed[0] - mass[1] * initial.speed[1];
  const double e0 =
      0.5 * (mass[0] * initial.speed[0] * initial.speed[0] + mass[1] * initial.speed[1] * initial.speed[1]);
  for (Size i = 0; i < out.balls.size(); ++i) {
    const auto& p = truth[static_cast<Size>(out.frames[i])];
    dx.push_back({out.balls[i][0].x - p[0][0], out.balls[i][1].x - p[1][0]});
    for (Size k = 0; k < 2 && i < 5; ++k) radii[k].push_back(out.balls[i][k].radius);  // frames before a contact
    if (i == 0) continue;
    const auto& q = truth[static_cast<Size>(out.frames[i - 1])];
    Pair v, w;
    for (Size k = 0; k < 2; ++k) {
      v[k] = (out.balls[i][k].x - out.balls[i - 1][k].x) / kFrameSeconds;
      w[k] = (p[k][0] - q[k][0]) / kFrameSeconds;
    }
    true_v.push_back(w);
    dv.push_back({v[0] - w[0], v[1] - w[1]});
    momentum.push_back(mass[0] * v[0] + mass[1] * v[1] - p0);
    energy.push_back(0.5 * (mass[0] * v[0] * v[0] + mass[1] * v[1] * v[1]) - e0);
  }
  out.contact = find_contact(true_v);
  const Size contact = static_cast<Size>(out.contact);
  const Parts x = parts(dx, out.contact + 1, out.contact + 1), v = parts(dv, out.contact, out.contact + 1);
  out.before_x_error = x.before, out.after_x_error = x.after;
  out.before_v_error = v.before, out.after_v_error = v.after;
  const Parts mean = mean_parts(dv, out.contact, out.contact + 1);
  out.before_mean_v_error = mean.before, out.after_mean_v_error = mean.after;
  out.before_momentum_error = mean_abs(momentum, 0, contact);
  out.after_momentum_error = mean_abs(momentum, contact + 1, momentum.size());
  out.before_energy_error = mean_abs(energy, 0, contact);
  out.after_energy_error = mean_abs(energy, contact + 1, energy.size());
  out.radius_range = std::max(range(radii[0]), range(radii[1]));
  return out;
}

}  // namespace orrery
