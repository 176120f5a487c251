// Permanence: bodies neither appear nor vanish nor jump. Rigidity: they keep size and shape. Colour: they keep it.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"
#include "physics_eval/track/colour.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Whether another body could hide this one at that place and frame, or hold it within a shared segment. What is not
// seen together with it is what was behind it, if it was a body and no scrap.
bool could_hide(const Context& context, Size body, Vec place, int frame) {
  const Track& mine = *context.paths[body].track;
  const bool lasting = context.paths[body].count >= 8;
  for (Size j = 0; j < context.paths.size(); ++j) {
    const Path& other = context.paths[j];
    if (j == body || (lasting && (other.track->first() > mine.last() || other.track->last() < mine.first()))) continue;
    for (int t = std::max(0, frame - 1); t <= std::min(context.frames - 1, frame + 1); ++t) {
      if (!other.seen[static_cast<Size>(t)]) continue;
      // One of its colour it may be taken together with, which that one's size shows; another one has to cover it.
      const Path& path = context.paths[body];
      const Size i = static_cast<Size>(t);
      const bool alike = tracking::colour_distance(path.track->colour, other.track->colour) < 0.25;
      const bool whole = other.clean[i] && other.rigid &&
                         std::abs(other.track->frames[i].area - other.track->area) < 0.2 * path.track->area;
      if (lasting && !alike && other.track->area < 0.3 * path.track->area) continue;  // spray
      const double speed = t > 0 && other.seen[i - 1] ? length(other.at[i] - other.at[i - 1]) : 0;
      const bool outlined = other.round || (other.rigid && other.track->frames[i].box_width > 0);
      const double within = path.round && outlined && (!alike || whole) ? 3 + speed - path.radius : path.radius + 2;
      if (surface_gap(place, other, t) < within) return true;
    }
  }
  return false;
}

bool near_border(const Context& context, Vec place, double margin) {
  return place.x < margin || place.y < margin || place.x > context.tracks->width - margin ||
         place.y > context.tracks->height - margin;
}

Vec speed_near(const Path& path, int frame, int way) {
  const int other = frame - way;
  if (other < 0 || other >= path.frames() || !path.seen[static_cast<Size>(other)]) return {};
  return (path.at[static_cast<Size>(frame)] - path.at[static_cast<Size>(other)]) * way;
}

// How sure a sighting is one of a body: seen often, and large.
double weight(const Path& path) { return std::min({1.0, path.count / 5.0, path.track->area / 12}); }

// Another body of its colour comes into or goes out of sight next to it about then: the two were taken for one.
bool mixed_up(const Context& context, Size body, int frame) {
  const Path& path = context.paths[body];
  for (Size j = 0; j < context.paths.size(); ++j) {
    const Path& other = context.paths[j];
    if (j == body || tracking::colour_distance(path.track->colour, other.track->colour) > 0.25) continue;
    for (int t = std::max(1, frame - 2); t <= std::min(context.frames - 1, frame + 2); ++t) {
      const Size i = static_cast<Size>(t);
      const bool toggles = other.clean[i] != other.clean[i - 1];
      const int shown = other.seen[i] ? t : t - 1;
      const int mine = path.seen[i] ? t : t - 1;
      if (toggles && other.seen[static_cast<Size>(shown)] && path.seen[static_cast<Size>(mine)] &&
          surface_gap(path.at[static_cast<Size>(mine)], other, shown) < 2.5 * path.radius + 4) {
        return true;
      }
    }
  }
  return false;
}

// The body may be out of the picture in the next frame (or the one before), which would show it at `next`.
bool could_leave(const Context& context, const Path& path, int frame, Vec next) {
  const Observation& o = path.track->frames[static_cast<Size>(frame)];
  if (!o.cut) return near_border(context, next, path.radius);
  if (o.completed) return near_border(context, next, -0.3 * path.radius);
  return o.area < 0.6 * path.track->area;
}

// At that end of its track it is about as large as in the ten frames beside it: what comes or goes bit by bit comes out
// from behind something, or goes there.
bool whole_at(const Path& path, int end, int way) {
  double most = 0;
  for (int k = 0; k <= 10; ++k) {
    const int t = end + way * k;
    if (t >= 0 && t < path.frames() && path.seen[static_cast<Size>(t)])
      most = std::max(most, path.track->frames[static_cast<Size>(t)].area);
  }
  return path.track->frames[static_cast<Size>(end)].area > 0.65 * most;
}

// Another of its size is last (way −1) or first (way 1) seen where this one begins or ends: who is who changed, or,
// with `colour`, it takes another colour.
bool replaced(const Context& context, const Path& path, int end, int way, bool colour = false) {
  const Observation& o = path.track->frames[static_cast<Size>(end)];
  return std::any_of(context.paths.begin(), context.paths.end(), [&](const Path& other) {
    const int theirs = way > 0 ? other.track->first() : other.track->last();
    if (&other == &path || theirs < 0 || std::abs(theirs - end - way) > 1) return false;
    if (colour && tracking::colour_distance(path.track->colour, other.track->colour) < 0.25) return false;
    const Observation& p = other.track->frames[static_cast<Size>(theirs)];
    const double ratio = p.area / std::max(1.0, o.area);
    return ratio > 0.7 && ratio < 1.4 && std::hypot(p.x - o.x, p.y - o.y) < 0.7 * path.radius + 3;
  });
}

// What the picture shows of the body's strong colour does not change with it from frame `before` to `after`, by a third
// of `size`: it was counted to another body, or another one to it.
bool amount_stays(const Context& context, const Path& path, int before, int after, double size) {
  const tracking::Chroma mine = tracking::chroma(path.track->colour);
  for (const ColourArea& colour : context.tracks->colours) {
    if (tracking::chroma_distance2(mine, tracking::chroma(colour.colour)) > 0.25 * 0.25) continue;
    const auto about = [&](int frame) {
      std::vector<double> area;
      for (int t = std::max(0, frame - 1); t <= std::min(context.frames - 1, frame + 1); ++t)
        area.push_back(colour.area[static_cast<Size>(t)]);
      return median(std::move(area));
    };
    return std::abs(about(after) - about(before)) < 0.33 * size;
  }
  return false;
}

// Something of its colour is seen about that place in that frame; with a fluid about, spray may be.
bool like_about(const Context& context, Size body, Vec place, int frame) {
  const Path& path = context.paths[body];
  if (std::any_of(context.paths.begin(), context.paths.end(), [](const Path& p) { return p.fluid >= 0; })) return true;
  for (Size j = 0; j < context.paths.size(); ++j) {
    const Path& other = context.paths[j];
    if (j != body && other.seen[static_cast<Size>(frame)] &&
        tracking::colour_distance(path.track->colour, other.track->colour) < 0.25 &&
        surface_gap(place, other, frame) < 2 * path.radius + 4)
      return true;
  }
  return false;
}

void test_ends(const Context& context, Size body, Verdict& out) {
  const Path& path = context.paths[body];
  const int first = path.track->first(), last = path.track->last();
  const double w = weight(path);
  const Vec next = path.at[static_cast<Size>(last)] + speed_near(path, last, 1);
  if (last + 2 < context.frames && whole_at(path, last, -1) && !replaced(context, path, last, 1) &&
      !could_leave(context, path, last, next) && !could_hide(context, body, next, last + 1) &&
      !(like_about(context, body, next, last + 1) &&
        amount_stays(context, path, last - 1, last + 2, path.track->frames[static_cast<Size>(last)].area))) {
    out.add(last + 1, context.frames - 1, 2.5 * w, {path.track->id},
            say("body %d vanishes at (%.0f, %.0f)", path.track->id, next.x, next.y));
  }
  const Observation& start = path.track->frames[static_cast<Size>(first)];
  const Vec before = path.at[static_cast<Size>(first)] - speed_near(path, first, -1);
  if (first >= 2 && whole_at(path, first, 1) && !replaced(context, path, first, -1) &&
      !could_leave(context, path, first, before) &&
      !could_hide(context, body, path.at[static_cast<Size>(first)], first - 1) &&
      !(like_about(context, body, before, first - 1) &&
        amount_stays(context, path, first - 2, first + 1, start.area))) {
    out.add(first, first + 3, 2.5 * w, {path.track->id},
            say("body %d appears at (%.0f, %.0f)", path.track->id, start.x, start.y));
  }
}

void test_gaps(const Context& context, Size body, Verdict& out) {
  const Path& path = context.paths[body];
  int unseen = 0;
  for (int t = path.track->first(); t <= path.track->last(); ++t) {
    if (!path.seen[static_cast<Size>(t)]) {
      ++unseen;
      continue;
    }
    if (unseen > 1) {
      const int begin = t - unseen;
      const Vec place = path.at[static_cast<Size>(begin) - 1];
      const bool cut =
          path.track->frames[static_cast<Size>(begin) - 1].cut || near_border(context, place, path.radius + 2);
      if (!cut && !could_hide(context, body, place, begin) && !mixed_up(context, body, begin) &&
          !mixed_up(context, body, t)) {
        out.add(begin, t - 1, std::min(2.0, 0.5 * unseen) * weight(path), {path.track->id},
                say("body %d is gone for %d frames", path.track->id, unseen));
      }
    }
    unseen = 0;
  }
}

// What pushes from two sides in a row can look like: a body between others (or a wall) goes to and fro.
double pushed_about(const Context& context, const Event& event) {
  const Path& path = context.paths[static_cast<Size>(event.body)];
  double most = 0;
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (static_cast<int>(j) == event.body || !context.paths[j].rigid) continue;
    for (int t = std::max(0, event.frame - 2); t <= std::min(context.frames - 1, event.frame + 1); ++t) {
      if (touching(path, context.paths[j], t, 2))
        most = std::max(most, 1.5 * (length(event.before) + length(event.after)) + 2);
    }
  }
  return most;
}

}  // namespace

Verdict test_permanence(const Context& context) {
  Verdict out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    if (context.paths[b].count < 3 || !context.paths[b].rigid) continue;
    out.applies = true;
    test_ends(context, b, out);
    test_gaps(context, b, out);
  }
  test_fluid_permanence(context, out);
  Verdict rigidity, colour;
  test_amounts(context, out, rigidity, colour);
  // One jump is a teleport; many are the business of inertia (jitter).
  std::vector<char> shaken;
  for (Size b = 0; b < context.paths.size(); ++b) shaken.push_back(find_shaking(context, b).severity > 1.5);
  for (const Event& event : context.events) {
    if (!event.jump || shaken[static_cast<Size>(event.body)]) continue;
    int jumps = 0;
    for (const Event& other : context.events) {
      jumps += other.body == event.body && !other.on_solid && other.other < 0 && other.peak > 0.3 * event.peak &&
               std::abs(other.frame - event.frame) < 10;
    }
    const Path& path = context.paths[static_cast<Size>(event.body)];
    if (jumps > 2 || mixed_up(context, static_cast<Size>(event.body), event.frame)) continue;
    out.add(event.frame, event.frame, event.peak / std::max({2.5, 14 * path.noise, pushed_about(context, event)}),
            {path.track->id}, say("body %d jumps %.1f px", path.track->id, event.peak));
  }
  return out;
}

namespace {

// A quantity of a body over its clean frames, and the largest lasting step in it.
struct Step {
  /// First frame that shows it, and the one measured before that.
  int frame = -1, before = -1;
  double size = 0, noise = 0;
};

Step largest_step(const std::vector<int>& frame, const std::vector<double>& value) {
  Step out;
  std::vector<double> difference;
  for (Size i = 1; i < value.size(); ++i) difference.push_back(std::abs(value[i] - value[i - 1]));
  if (difference.size() < 5) return out;
  const auto high = difference.begin() + static_cast<std::ptrdiff_t>(difference.size() * 85 / 100);
  const double usual = median(difference);
  std::nth_element(difference.begin(), high, difference.end());
  // Of the difference of two normal values: √2 · 0.6745 at the median, √2 · 1.44 at 85% (where half may stand still).
  out.noise = std::max(usual / 0.954, 0.7 * *high / 2.04);
  for (Size i = 3; i + 3 <= value.size(); ++i) {
    const Size from = i < 5 ? 0 : i - 5, to = std::min(value.size(), i + 5);
    const double before =
        median({value.begin() + static_cast<std::ptrdiff_t>(from), value.begin() + static_cast<std::ptrdiff_t>(i)});
    const double after =
        median({value.begin() + static_cast<std::ptrdiff_t>(i), value.begin() + static_cast<std::ptrdiff_t>(to)});
    // The step itself lies between two neighbours, not spread over many.
    const double sudden = std::abs(value[i] - value[i - 1]);
    const double size = std::min(std::abs(after - before), 1.3 * sudden);
    if (size > std::abs(out.size)) {
      out.size = after > before ? size : -size;
      out.frame = frame[i], out.before = frame[i - 1];
    }
  }
  return out;
}

template <class Value, class Use>
Step step_of(const Path& path, const Value& value, const Use& use) {
  std::vector<int> frame;
  std::vector<double> values;
  for (int t = 0; t < path.frames(); ++t) {
    if (!path.clean[static_cast<Size>(t)] || path.track->frames[static_cast<Size>(t)].completed || !use(t)) continue;
    frame.push_back(t);
    values.push_back(value(path.track->frames[static_cast<Size>(t)]));
  }
  return largest_step(frame, values);
}

template <class Value>
Step step_of(const Path& path, const Value& value) {
  return step_of(path, value, [](int) { return true; });
}

double log_area(const Observation& o) { return std::log(std::max(1.0, o.area)); }

double elongation(const Observation& o) {
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  return 0.5 * std::log((half + spread) / std::max(1e-6, half - spread));
}

// 2π (xx + yy) / area: 1 for a disc, 1.047 for a square, more for what is drawn out.
double spread(const Observation& o) { return std::log(6.2831853 * (o.xx + o.yy) / std::max(1.0, o.area)); }

}  // namespace

namespace {

// Among others of its colour from which it is hardly apart: what is counted to which is then a guess.
bool beside_like(const Context& context, Size body) {
  int close = 0;
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (j == body ||
        tracking::colour_distance(context.paths[body].track->colour, context.paths[j].track->colour) > 0.25)
      continue;
    for (int t = 0; t < context.frames; ++t) close += touching(context.paths[body], context.paths[j], t, 3);
  }
  return close > 2;
}

// From one frame to that one the body and all that touch it lie still.
bool lie_still(const Context& context, Size body, int frame, double most) {
  const Size t = static_cast<Size>(frame);
  for (Size j = 0; j < context.paths.size(); ++j) {
    const Path& other = context.paths[j];
    const bool here = j == body || touching(context.paths[body], other, frame, 2),
               before = j == body || touching(context.paths[body], other, frame - 1, 2);
    if (here != before) return false;
    if (here && (!other.seen[t - 1] || !other.seen[t] || length(other.at[t] - other.at[t - 1]) > most)) return false;
  }
  return true;
}

// From one frame to the next, all that touch it at rest for three frames before and after. A change of outline moves
// what is measured as a centre.
bool among_resting(const Context& context, Size body, const Step& step) {
  if (step.frame != step.before + 1) return false;
  for (int t = std::max(1, step.before - 2); t <= std::min(context.frames - 1, step.frame + 3); ++t) {
    if (!lie_still(context, body, t, t == step.frame ? 0.5 : 0.15)) return false;
  }
  return true;
}

// In the frames before that one or from it on its outline is a disc's.
bool disc_on_one_side(const Path& path, int frame) {
  std::vector<double> before, after;
  for (int t = 0; t < path.frames(); ++t) {
    if (path.clean[static_cast<Size>(t)])
      (t < frame ? before : after).push_back(spread(path.track->frames[static_cast<Size>(t)]));
  }
  return !before.empty() && !after.empty() && std::min(median(std::move(before)), median(std::move(after))) < 0.015;
}

// Area over the five frames before (way −1) or from (way 1) the frame on that show the body in any way; 0 without any.
double area_about(const Path& path, int frame, int way) {
  std::vector<double> area;
  for (int k = 0; k < 5; ++k) {
    const int t = way < 0 ? frame - 1 - k : frame + k;
    if (t >= 0 && t < path.frames() && path.seen[static_cast<Size>(t)])
      area.push_back(path.track->frames[static_cast<Size>(t)].area);
  }
  return area.empty() ? 0 : median(std::move(area));
}

// What one gains another of its colour loses at the same time: who is who was mixed up, nobody changed.
bool exchanged(const Context& context, Size body, const Step& step) {
  const Path& path = context.paths[body];
  for (int f = step.before + 1; f <= step.frame; ++f) {
    const double mine = area_about(path, f, 1) - area_about(path, f, -1);
    if (std::abs(mine) < 0.1 * path.track->area) continue;
    for (Size j = 0; j < context.paths.size(); ++j) {
      const Path& other = context.paths[j];
      if (j == body || tracking::colour_distance(path.track->colour, other.track->colour) > 0.25) continue;
      for (int t = f - 2; t <= f + 2; ++t) {
        const double theirs = area_about(other, t, 1) - area_about(other, t, -1);
        if (std::abs(mine + theirs) < 0.3 * std::abs(mine)) return true;
      }
    }
  }
  return false;
}

// Bodies that touch share mixed pixels: their outlines are not sure to a tenth of a pixel.
bool beside(const Context& context, Size body, int frame) {
  for (Size j = 0; j < context.paths.size(); ++j) {
    for (int t = std::max(0, frame - 2); j != body && t <= std::min(context.frames - 1, frame + 2); ++t) {
      if (touching(context.paths[body], context.paths[j], t, 2)) return true;
    }
  }
  return false;
}

// The frame from which on what had a box's outline until then, seen alone or placed among others, has a ball's, or the
// other way round; −1.
int other_outline(const Path& path) {
  constexpr int kEnough = 5;
  int boxes = 0, balls = 0, changes = 0, changed = -1;
  bool was_box = false;
  for (int t = 0; t < path.frames(); ++t) {
    const Observation& o = path.track->frames[static_cast<Size>(t)];
    const bool seen = !o.merged && !o.cut && spread(o) < 0.02 && o.area > 0.9 * path.track->area;
    const bool placed = o.merged && o.completed && o.box_width == 0;
    const bool disc = seen || placed, box = o.box_width > 0 && !disc;
    if (!o.visible || (!box && !disc)) continue;
    if (boxes + balls > 0 && box != was_box) ++changes, changed = t;
    was_box = box;
    ++(box ? boxes : balls);
  }
  return changes == 1 && boxes >= kEnough && balls >= kEnough ? changed : -1;
}

}  // namespace

Verdict test_rigidity(const Context& context) {
  Verdict out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    if (const int frame = other_outline(path); frame >= 0)
      out.add(frame, frame, 3.5, {path.track->id}, say("body %d changes its outline", path.track->id));
    if (path.count < 8 || !path.rigid) continue;
    out.applies = true;
    const double pixel = 1 / std::max(2.0, path.radius);  // a tenth of a pixel of the outline
    const bool alone = !beside_like(context, b);
    const Step area = step_of(path, log_area);
    const double changed = (1 - std::exp(-std::abs(area.size))) * path.track->area;
    if (area.frame >= 0 && alone && !mixed_up(context, b, area.frame) && !exchanged(context, b, area) &&
        (std::abs(area.size) < 0.5 || !amount_stays(context, path, area.before - 1, area.frame + 1, changed))) {
      out.add(area.frame, area.frame, std::abs(area.size) / std::max(0.1 + 0.5 * pixel, 7 * area.noise),
              {path.track->id},
              say("body %d changes its area by %+.0f%%", path.track->id, 100 * (std::exp(area.size) - 1)));
    }
    // What happens to its outline beside another shows in the frames before and after.
    const auto apart = [&](int t) { return !beside(context, b, t); };
    const Step shape = step_of(path, spread, apart);
    if (shape.frame >= 0 && alone && !exchanged(context, b, shape)) {
      out.add(shape.frame, shape.frame, std::abs(shape.size) / std::max(0.008 + 0.035 * pixel, 7 * shape.noise),
              {path.track->id}, say("body %d changes its shape (spread %+.0f%%)", path.track->id, 100 * shape.size));
    }
    // A disc beside others as well, as long as none of it is hidden: there outlines are less sure.
    const double usual = path.track->area;
    const auto whole = [&](int t) {
      return std::abs(path.track->frames[static_cast<Size>(t)].area - usual) < 0.05 * usual;
    };
    const Step among = step_of(path, spread, whole);
    if (among.frame >= 0 && disc_on_one_side(path, among.frame) && alone && !exchanged(context, b, among)) {
      out.add(among.frame, among.frame, 0.5 * std::abs(among.size) / std::max(0.008 + 0.035 * pixel, 7 * among.noise),
              {path.track->id}, say("body %d changes its shape (spread %+.0f%%)", path.track->id, 100 * among.size));
    }
    // Among others of its colour, all at rest: whose pixels are whose does not change then.
    const auto at_rest = [&](int t) { return t > 0 && lie_still(context, b, t, 0.5); };
    const Step resting = step_of(path, spread, at_rest), grown = step_of(path, log_area, at_rest);
    if (resting.frame >= 0 && !alone && among_resting(context, b, resting)) {
      out.add(resting.frame, resting.frame, std::abs(resting.size) / std::max(0.008 + 0.035 * pixel, 7 * resting.noise),
              {path.track->id}, say("body %d changes its shape (spread %+.0f%%)", path.track->id, 100 * resting.size));
    }
    if (grown.frame >= 0 && !alone && among_resting(context, b, grown)) {
      out.add(grown.frame, grown.frame, std::abs(grown.size) / std::max(0.1 + 0.5 * pixel, 7 * grown.noise),
              {path.track->id},
              say("body %d changes its area by %+.0f%%", path.track->id, 100 * (std::exp(grown.size) - 1)));
    }
    const Step longer = step_of(path, elongation, apart);
    if (longer.frame >= 0 && alone && !exchanged(context, b, longer)) {
      out.add(longer.frame, longer.frame, std::abs(longer.size) / std::max(0.05 + 0.2 * pixel, 8 * longer.noise),
              {path.track->id},
              say("body %d changes its shape (length to width %+.0f%%)", path.track->id, 100 * longer.size));
    }
  }
  Verdict permanence, colour;
  test_amounts(context, permanence, out, colour);
  return out;
}

Verdict test_colour(const Context& context) {
  Verdict out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    const int last = path.track->last();
    if (path.count >= 3 && path.rigid && last >= 3 && last + 3 < context.frames &&
        replaced(context, path, last, 1, true))
      out.add(last + 1, last + 1, 2.5, {path.track->id}, say("body %d takes another colour", path.track->id));
    if (path.count < 8 || !path.rigid) continue;
    out.applies = true;
    const auto part = [](const Observation& o, int which) {
      const tracking::Chroma c = tracking::chroma(o.colour);
      return which == 0 ? c.u : which == 1 ? c.v : 0.5 * (o.colour.r + o.colour.g + o.colour.b) / 765;
    };
    Step worst;
    for (int which = 0; which < 3; ++which) {
      const Step step = step_of(path, [&](const Observation& o) { return part(o, which); });
      if (step.frame >= 0 && std::abs(step.size) > std::abs(worst.size)) worst = step;
    }
    if (worst.frame < 0 || mixed_up(context, b, worst.frame)) continue;
    out.add(worst.frame, worst.frame, std::abs(worst.size) / std::max(0.1, 7 * worst.noise), {path.track->id},
            say("body %d changes its colour", path.track->id));
  }
  Verdict permanence, rigidity;
  test_amounts(context, permanence, rigidity, out);
  return out;
}

}  // namespace orrery::laws
