#include "physics_eval/track/link.h"

#include <algorithm>
#include <cmath>

#include "physics_eval/track/assign.h"
#include "physics_eval/track/complete.h"
#include "physics_eval/track/touching.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr double kPi = 3.14159265358979323846;
constexpr double kRefuse = 2.4;
constexpr int kMaxTracks = 96;
constexpr double kBlur = 1.0 / 12;  // a pixel's own second moment, which measured ones have in them

// What the linker knows about a body while it walks through the clip in one direction.
struct State {
  bool seen = false;
  double x = 0, y = 0, vx = 0, vy = 0;
  double area = 0;  // of the whole body: cut and merged views do not change it
  TrackColour colour;
  bool cut = false;
  int missed = 0;
  int sightings = 0;
  RigidShape shape;  // where it is a box or a ball, with its angle and the angle's change a frame
  RigidShape other;  // what it was before it became that
  double angle = 0, spin = 0;
  int strange = 0;  // whole views in a row that are not of that shape

  double radius() const { return std::sqrt(area / kPi); }
  double predicted_x() const { return x + vx * std::min(missed + 1, 12); }
  double predicted_y() const { return y + vy * std::min(missed + 1, 12); }
  double predicted_angle() const { return angle + spin * std::min(missed + 1, 3); }
  double gate() const {
    const double speed = std::hypot(vx, vy);
    const double unsure = sightings < 2 ? 3 * radius() : radius();
    return std::max(6.0, unsure) + 2.2 * speed + 0.5 * (missed > 0 ? std::min(missed, 10) * (1 + speed * 0.3) : 0);
  }
};

/// How a body is seen: alone and whole, as a share of a segment with others of its colour, or partly behind another.
enum class View { whole, shared, partial };

double pair_cost(const State& state, const Segment& segment) {
  const double distance = std::hypot(segment.x - state.predicted_x(), segment.y - state.predicted_y()) / state.gate();
  if (distance > 1) return kRefuse;
  const double colour = colour_distance(state.colour, segment.colour) / 0.25;
  const double ratio = std::log(std::max(segment.area, 1.0) / std::max(state.area, 1.0));
  const bool partial = segment.cut || state.cut;
  return distance * distance + 1.4 * std::min(1.0, colour * colour) +
         std::min(partial ? 0.3 : 0.9, 0.6 * ratio * ratio);
}

double centroid_sigma(const Segment& segment, const Background& background) {
  const double mixed = 1.7 * background.noise / std::max(20.0, segment.contrast);
  const double radius = std::sqrt(std::max(segment.area, 1.0) / kPi);
  return std::sqrt(mixed * mixed + 0.06 * 0.06) / std::sqrt(kPi * radius);
}

// Of the same area, a ball for a box and a square for a ball.
RigidShape other_of(const RigidShape& shape) {
  const double side = shape.ball ? std::sqrt(shape.area()) : 2 * std::sqrt(shape.area() / kPi);
  return {side, side, !shape.ball};
}

class Linker {
 public:
  Linker(std::span<const Frame> frames, const Background& background, const std::vector<std::vector<Segment>>& segments,
         const Linker* before = nullptr)
      : frames_(frames), background_(background), segments_(segments), before_(before) {}

  void run() {
    const Size anchor = choose_anchor();
    for (Size t = anchor; t < frames_.size(); ++t) step(t);
    // Backwards from what the anchor frame and the two after it showed, speeds reversed.
    for (Size k = 0; k < tracks_.size(); ++k) {
      State state = state_at(tracks_[k], anchor);
      state.shape = states_[k].shape, state.other = states_[k].other;
      turn_back(k, state, anchor);
      states_[k] = state;
    }
    for (Size t = anchor; t-- > 0;) step(t);
  }

  // Some box lay beside others before its outline was known: from the first frame on, that will be known now.
  bool learned_late() const { return learned_late_; }

  std::vector<Track> take() {
    complete();
    return std::move(tracks_);
  }

 private:
  // A box that becomes a ball is no ball that was hidden before.
  static bool was_box(const Track& track) {
    return std::count_if(track.frames.begin(), track.frames.end(),
                         [](const Observation& o) { return o.visible && o.box_width > 0; }) >= 4;
  }

  // As large and round as the ball of that radius; not hidden in part, nor with a piece of a rod or a spring.
  static bool looks_whole(const Observation& o, double radius) {
    const double full = kPi * radius * radius;
    return o.area > 0.93 * full && o.area < 1.06 * full && 2 * kPi * (o.xx + o.yy) < 1.05 * o.area;
  }

  // A view, which may not show the whole body.
  struct Partial {
    Size track, frame;
    std::vector<Run> runs;
  };

  // Works out where balls are that are seen in part, from the size they have where they are seen whole.
  void complete() {
    std::vector<double> radius;
    for (const Track& track : tracks_) radius.push_back(was_box(track) ? 0 : ball_radius(track));
    for (const Partial& part : partials_) {
      Observation& o = tracks_[part.track].frames[part.frame];
      const double r = radius[part.track];
      if (r <= 0 || o.area < 0.3 * kPi * r * r || (!o.merged && !o.cut && looks_whole(o, r))) continue;
      const auto centre = complete_ball(part.runs, frames_[part.frame], background_, r);
      const bool smaller = !o.merged && !o.cut && o.area < kPi * r * r;
      if (!centre || (smaller && !centre->beside)) continue;  // smaller by itself is another size
      o.completed = true;
      o.x = centre->x, o.y = centre->y, o.area = kPi * r * r;
      o.xx = o.yy = r * r / 4, o.xy = 0;
      o.sigma = centre->sigma;
    }
    for (Size k = 0; k < tracks_.size(); ++k) {
      if (radius[k] > 0) doubt_short_changes(tracks_[k], radius[k]);
    }
  }

  // A ball that for a few frames looks like something else has something of its colour beside it.
  static void doubt_short_changes(Track& track, double radius) {
    const auto odd = [&](Size t) {
      const Observation& o = track.frames[t];
      return o.visible && !o.merged && !o.cut && !o.completed && !looks_whole(o, radius);
    };
    for (Size t = 0; t < track.frames.size(); ++t) {
      Size end = t;
      while (end < track.frames.size() && odd(end)) ++end;
      if (end == t || end - t > 6) {
        t = end;
        continue;
      }
      for (; t < end; ++t) track.frames[t].merged = true, track.frames[t].sigma = 0.3 * radius;
    }
  }

  Size choose_anchor() const {
    Size best = 0, most = 0;
    std::vector<double> areas;
    for (const auto& frame : segments_) {
      for (const Segment& s : frame) areas.push_back(s.area);
    }
    if (areas.empty()) return 0;
    std::nth_element(areas.begin(), areas.begin() + static_cast<std::ptrdiff_t>(areas.size() / 2), areas.end());
    const double enough = 0.2 * areas[areas.size() / 2];
    for (Size t = 0; t < segments_.size(); ++t) {
      const Size count = static_cast<Size>(std::count_if(segments_[t].begin(), segments_[t].end(),
                                                         [&](const Segment& s) { return s.area >= enough && !s.cut; }));
      if (count > most) most = count, best = t;
    }
    return best;
  }

  State state_at(const Track& track, Size anchor) const {
    State state;
    Size t = anchor;
    while (t < track.frames.size() && !track.frames[t].visible) ++t;
    if (t == track.frames.size()) return state;
    const Observation& here = track.frames[t];
    state.seen = true;
    state.x = here.x, state.y = here.y, state.colour = here.colour, state.cut = here.cut;
    state.area = full_area(track, t);
    state.sightings = 1;
    if (t + 1 < track.frames.size() && track.frames[t + 1].visible) {
      state.vx = here.x - track.frames[t + 1].x, state.vy = here.y - track.frames[t + 1].y;
      state.sightings = 2;
    }
    state.missed = static_cast<int>(t - anchor);
    return state;
  }

  // The angle at the anchor, and how it changes backwards.
  void turn_back(Size k, State& state, Size anchor) const {
    if (!state.seen || !state.shape.known()) return;
    const Size t = anchor + static_cast<Size>(state.missed);
    state.angle = angles_[k][t];
    if (state.sightings < 2) return;
    state.spin = nearest_angle(state.shape, state.angle - angles_[k][t + 1], 0);
  }

  static double full_area(const Track& track, Size from) {
    double area = track.frames[from].area;
    for (Size t = from; t < std::min(track.frames.size(), from + 6); ++t) {
      const Observation& o = track.frames[t];
      if (o.visible && !o.merged && !o.cut) return std::max(area, o.area);
      if (o.visible) area = std::max(area, o.area);
    }
    return area;
  }

  void step(Size t) {
    const std::vector<Segment>& found = segments_[t];
    matched_.assign(states_.size(), 0);
    std::vector<int> owner(found.size(), -1);
    const std::vector<char> settled = observe_touching(t, found, owner);
    std::vector<std::vector<double>> cost(states_.size(), std::vector<double>(found.size(), kRefuse));
    for (Size k = 0; k < states_.size(); ++k) {
      if (matched_[k] || !states_[k].seen || states_[k].missed > 14) continue;
      for (Size s = 0; s < found.size(); ++s) {
        if (!settled[s]) cost[k][s] = pair_cost(states_[k], found[s]);
      }
    }
    const std::vector<int> match = states_.empty() ? std::vector<int>() : assign(cost, kRefuse);
    for (Size k = 0; k < match.size(); ++k) {
      if (match[k] >= 0) owner[static_cast<Size>(match[k])] = static_cast<int>(k), matched_[k] = 1;
    }
    release_jumped(found, owner);
    std::vector<std::vector<Size>> shared(found.size());
    share_merged(found, owner, settled, shared);
    for (Size s = 0; s < found.size(); ++s) {
      if (owner[s] < 0 || settled[s] || !shared[s].empty()) continue;
      const Size k = static_cast<Size>(owner[s]);
      observe(k, t, found[s], hidden_in_part(k, found[s]) ? View::partial : View::whole);
    }
    for (Size s = 0; s < found.size(); ++s) {
      if (!shared[s].empty()) split(t, found[s], shared[s]);
    }
    recover(t, found, owner);
    for (Size s = 0; s < found.size(); ++s) {
      if (owner[s] < 0) start(t, found[s]);
    }
    for (Size k = 0; k < states_.size(); ++k) {
      if (!matched_[k]) ++states_[k].missed;
    }
  }

  // Bodies of known outline that touch, or lie alone; true for the segments that are settled so.
  std::vector<char> observe_touching(Size t, const std::vector<Segment>& found, std::vector<int>& owner) {
    std::vector<Foretold> foretold;
    for (Size k = 0; k < states_.size(); ++k) {
      const State& s = states_[k];
      if (!s.seen || !s.shape.known() || s.missed > 3 || s.strange > 1) continue;
      foretold.push_back({k,
                          {s.shape, s.predicted_x(), s.predicted_y(), s.predicted_angle()},
                          s.colour,
                          s.other.known() ? s.other : other_of(s.shape)});
    }
    std::vector<char> settled(found.size(), 0);
    for (const Placed& placed : place_touching(foretold, found, frames_[t], background_)) {
      settled[placed.segment] = 1;
      owner[placed.segment] = static_cast<int>(placed.track);
      observe_fitted(t, placed, found[placed.segment]);
    }
    return settled;
  }

  // As large and of the same colour.
  static bool alike(const State& state, const Segment& segment) {
    return colour_distance(state.colour, segment.colour) < 0.15 &&
           std::abs(std::log(std::max(segment.area, 1.0) / std::max(state.area, 1.0))) < 0.3;
  }

  // What is seen in a body's place has another colour, and either the body is seen elsewhere or what is seen is a body
  // that was elsewhere: one of them jumped (the hole that a body leaves in water is not that body).
  void release_jumped(const std::vector<Segment>& found, std::vector<int>& owner) {
    for (Size s = 0; s < found.size(); ++s) {
      if (owner[s] < 0) continue;
      const Size k = static_cast<Size>(owner[s]);
      if (states_[k].cut || colour_distance(states_[k].colour, found[s].colour) < 0.25) continue;
      bool jumped = false;
      for (Size other = 0; other < found.size(); ++other)
        jumped = jumped || (owner[other] < 0 && alike(states_[k], found[other]));
      for (Size j = 0; j < states_.size(); ++j)
        jumped = jumped || (!matched_[j] && states_[j].seen && states_[j].missed <= 3 && alike(states_[j], found[s]));
      if (jumped) owner[s] = -1, matched_[k] = 0;
    }
  }

  // Tracks without a segment whose place lies in a segment of their colour that is larger than its owner: both are in
  // it.
  void share_merged(const std::vector<Segment>& found, const std::vector<int>& owner, const std::vector<char>& settled,
                    std::vector<std::vector<Size>>& shared) {
    for (Size k = 0; k < states_.size(); ++k) {
      const State& state = states_[k];
      if (matched_[k] || !state.seen || state.missed > 14) continue;
      int best = -1;
      double nearest = 1e9;
      for (Size s = 0; s < found.size(); ++s) {
        if (owner[s] < 0 || settled[s]) continue;
        const State& other = states_[static_cast<Size>(owner[s])];
        if (colour_distance(state.colour, found[s].colour) > 0.15) continue;
        double already = other.area;
        for (const Size member : shared[s]) already += member == static_cast<Size>(owner[s]) ? 0 : states_[member].area;
        if (found[s].area < already + 0.35 * state.area) continue;
        const double reach = std::sqrt(found[s].area / kPi) + state.radius() + 3;
        const double distance = std::hypot(found[s].x - state.predicted_x(), found[s].y - state.predicted_y());
        if (distance < std::max(reach, state.gate()) && distance < nearest)
          nearest = distance, best = static_cast<int>(s);
      }
      if (best < 0) continue;
      auto& members = shared[static_cast<Size>(best)];
      if (members.empty()) members.push_back(static_cast<Size>(owner[static_cast<Size>(best)]));
      members.push_back(k);
    }
  }

  // Smaller than it was and no ball or box by itself, with another body over its place.
  bool hidden_in_part(Size k, const Segment& segment) const {
    const State& state = states_[k];
    if (segment.cut || segment.area > 0.85 * state.area) return false;
    const bool round = 2 * kPi * (segment.xx + segment.yy) < 1.06 * segment.area;
    if (!segment.adjoins && (round || RigidShape::of(segment.area, segment.xx, segment.xy, segment.yy).known()))
      return false;
    for (Size j = 0; j < states_.size(); ++j) {
      const State& other = states_[j];
      if (j == k || !other.seen || other.missed > 2) continue;
      const double distance = std::hypot(other.x - state.predicted_x(), other.y - state.predicted_y());
      if (distance < other.radius() + state.radius() + 2 + std::hypot(other.vx, other.vy)) return true;
    }
    return false;
  }

  void split(Size t, const Segment& segment, const std::vector<Size>& members) {
    std::vector<Disc> discs;
    for (const Size k : members)
      discs.push_back({states_[k].predicted_x(), states_[k].predicted_y(), states_[k].radius()});
    const std::vector<Segment> parts = split_segment(segment, frames_[t], background_, discs);
    for (Size i = 0; i < members.size(); ++i) {
      if (parts[i].area < 0.25 * states_[members[i]].area) {
        matched_[members[i]] = 0;
        continue;
      }
      observe(members[i], t, parts[i], View::shared);
      matched_[members[i]] = 1;
    }
  }

  // A body that jumped keeps its colour and size; one that comes back into the picture keeps its colour.
  void recover(Size t, const std::vector<Segment>& found, std::vector<int>& owner) {
    std::vector<std::vector<double>> cost(states_.size(), std::vector<double>(found.size(), 1.0));
    for (Size k = 0; k < states_.size(); ++k) {
      const State& state = states_[k];
      if (matched_[k] || !state.seen) continue;
      for (Size s = 0; s < found.size(); ++s) {
        if (owner[s] >= 0) continue;
        const double colour = colour_distance(state.colour, found[s].colour);
        const double ratio = std::abs(std::log(std::max(found[s].area, 1.0) / std::max(state.area, 1.0)));
        const bool back = state.cut && found[s].cut;
        const bool jump = state.missed <= 3 && ratio < 0.3 && !state.cut;
        if (colour < 0.15 && (back || jump)) cost[k][s] = colour + (back ? 0.1 : ratio);
      }
    }
    if (states_.empty()) return;
    const std::vector<int> match = assign(cost, 0.9);
    for (Size k = 0; k < match.size(); ++k) {
      if (match[k] < 0) continue;
      owner[static_cast<Size>(match[k])] = static_cast<int>(k);
      states_[k].vx = states_[k].vy = 0;
      states_[k].missed = 20;  // no speed is taken from the jump
      observe(k, t, found[static_cast<Size>(match[k])], View::whole);
      matched_[k] = 1;
    }
  }

  // The outline of the body that was seen there; of one of its size where its own never showed alone.
  RigidShape shape_at(Size t, const Segment& segment) const {
    const RigidShape* alike = nullptr;
    for (Size k = 0; k < tracks_.size(); ++k) {
      const Observation& o = tracks_[k].frames[t];
      const RigidShape& shape = states_[k].shape;
      if (!shape.known()) continue;
      if (o.visible && std::hypot(o.x - segment.x, o.y - segment.y) < 1.5) return shape;
      if (!shape.ball && std::abs(shape.area() - segment.area) < 0.12 * shape.area()) alike = &shape;
    }
    return alike && segment.adjoins ? *alike : RigidShape{};
  }

  void observe_fitted(Size t, const Placed& placed, const Segment& segment) {
    const RigidBody& body = placed.body;
    if (!segment.adjoins && !placed.shares) {  // it shows all of itself
      Segment whole = segment;
      whole.x = body.x, whole.y = body.y;
      observe(placed.track, t, whole, View::whole);
      matched_[placed.track] = 1;
      return;
    }
    State& state = states_[placed.track];
    if (body.shape.ball != state.shape.ball) state.shape = body.shape, state.other = placed.other, state.spin = 0;
    Observation& o = tracks_[placed.track].frames[t];
    o.visible = true;
    o.merged = o.completed = placed.shares;  // else its outline was seen, and is its own
    o.x = body.x, o.y = body.y, o.area = body.shape.area();
    o.xx = body.xx() + kBlur, o.xy = body.xy(), o.yy = body.yy() + kBlur;
    o.colour = placed.shares ? state.colour : segment.colour, o.brightness = segment.brightness;
    o.sigma = std::max(0.03, body.sigma);
    follow(state, o);
    turn(placed.track, t, body.angle);
    matched_[placed.track] = 1;
    state.missed = 0;
    ++state.sightings;
  }

  // Place and speed from a new sighting.
  static void follow(State& state, const Observation& o, double keep = 0.15) {
    if (state.missed <= 12 && state.sightings > 0) {
      const double steps = state.missed + 1;
      if (state.sightings < 2) keep = 0;
      state.vx = keep * state.vx + (1 - keep) * (o.x - state.x) / steps;
      state.vy = keep * state.vy + (1 - keep) * (o.y - state.y) / steps;
    }
    state.x = o.x, state.y = o.y;
  }

  // The angle of a body whose outline is known.
  void turn(Size k, Size t, double angle) {
    State& state = states_[k];
    angle = nearest_angle(state.shape, angle, state.predicted_angle());
    state.spin = state.sightings > 0 && state.missed <= 3 ? (angle - state.angle) / (state.missed + 1) : 0;
    state.angle = angles_[k][t] = angle;
    if (state.shape.ball) return;
    Observation& o = tracks_[k].frames[t];
    o.box_width = state.shape.width, o.box_height = state.shape.height, o.angle = angle;
  }

  // The outline of a body that is seen alone, and how it lies.
  void learn_shape(Size k, Size t, const Segment& segment) {
    State& state = states_[k];
    const RigidShape seen = RigidShape::of(segment.area, segment.xx, segment.xy, segment.yy);
    const bool same = seen.known() && state.shape.known() && seen.ball == state.shape.ball &&
                      std::abs(seen.area() - state.shape.area()) < 0.12 * state.shape.area();
    if (!state.shape.known() || (!same && ++state.strange > 2)) {
      learned_late_ = learned_late_ || (seen.known() && !seen.ball && state.sightings > 0);
      state.shape = seen, state.strange = 0, state.spin = 0;
    } else if (same) {
      state.strange = 0;
      state.shape.width += 0.2 * (seen.width - state.shape.width);
      state.shape.height += 0.2 * (seen.height - state.shape.height);
    }
    if (!state.shape.known() || state.strange > 0) return;
    turn(k, t, angle_of(state.shape, segment));
  }

  void start(Size t, const Segment& segment) {
    if (tracks_.size() >= kMaxTracks) return;
    Track track;
    track.frames.resize(frames_.size());
    tracks_.push_back(std::move(track));
    angles_.emplace_back(frames_.size(), 0.0);
    State state;
    state.seen = true;
    state.missed = 20;
    state.area = segment.area, state.colour = segment.colour;
    if (before_) state.shape = before_->shape_at(t, segment);
    states_.push_back(state);
    matched_.push_back(1);
    observe(tracks_.size() - 1, t, segment, View::whole);
  }

  void observe(Size k, Size t, const Segment& segment, View view) {
    State& state = states_[k];
    Observation& o = tracks_[k].frames[t];
    o.visible = true;
    o.merged = view != View::whole;
    o.cut = segment.cut;
    o.x = segment.x, o.y = segment.y, o.area = segment.area;
    o.xx = segment.xx, o.xy = segment.xy, o.yy = segment.yy;
    o.colour = segment.colour;
    o.brightness = segment.brightness;
    o.sigma = centroid_sigma(segment, background_);
    partials_.push_back({k, t, segment.runs});
    if (view == View::partial) {  // the visible part says little about the whole: it moves on as it did
      const double x = state.predicted_x(), y = state.predicted_y();
      o.sigma = 8 * o.sigma + std::hypot(o.x - x, o.y - y);
      state.x = 0.7 * x + 0.3 * o.x, state.y = 0.7 * y + 0.3 * o.y;
      state.missed = 0;
      return;
    }
    if (view == View::shared) o.sigma *= 8;
    follow(state, o, view == View::shared ? 0.6 : 0.15);
    if (view == View::whole && !segment.cut) {
      if (!segment.adjoins) {
        learn_shape(k, t, segment);
      } else if (state.shape.known()) {
        turn(k, t, angle_of(state.shape, segment));
      }
    }
    state.missed = 0;
    ++state.sightings;
    if (o.cut) {
      state.area = std::max(state.area, segment.area);
    } else if (view == View::whole) {
      state.area = 0.5 * state.area + 0.5 * segment.area;
      state.colour = segment.colour;
    }
    state.cut = o.cut;
  }

  std::span<const Frame> frames_;
  const Background& background_;
  const std::vector<std::vector<Segment>>& segments_;
  std::vector<Track> tracks_;
  std::vector<State> states_;
  std::vector<std::vector<double>> angles_;  // a track, a frame: of what has a shape
  std::vector<std::uint8_t> mask_;           // the present frame's foreground, where there are boxes
  const Linker* before_;  // an earlier run over the same clip, whose outlines are known from the start
  bool learned_late_ = false;
  std::vector<char> matched_;
  std::vector<Partial> partials_;
};

}  // namespace

std::vector<Track> link(std::span<const Frame> frames, const Background& background,
                        const std::vector<std::vector<Segment>>& segments) {
  Linker first(frames, background, segments);
  first.run();
  if (!first.learned_late()) return first.take();
  Linker second(frames, background, segments, &first);
  second.run();
  return second.take();
}

}  // namespace orrery::tracking
