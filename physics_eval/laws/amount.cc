// How much of a strong colour a picture shows: it changes as bodies and fluids move, not from one frame to the next.
// This needs no identity, so it also holds for fluids and for bodies half hidden.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"
#include "physics_eval/track/colour.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

constexpr double kLeast = 24;  // pixels

bool of_colour(const Path& path, const ColourArea& colour) {
  return tracking::chroma_distance2(tracking::chroma(path.track->colour), tracking::chroma(colour.colour)) <
         0.25 * 0.25;
}

// What bodies passing behind one another or the picture's border can change from frame t − 1 to t, pixels². `leaves`:
// one is cut by the border.
double passing(const Context& context, const ColourArea& colour, int t, bool& leaves) {
  double most = 0;
  leaves = false;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    const bool mine = of_colour(path, colour);
    for (int k = std::max(1, t - 1); k <= std::min(context.frames - 1, t + 1); ++k) {
      const Size i = static_cast<Size>(k);
      if (!path.seen[i]) continue;
      const double speed = path.seen[i - 1] ? length(path.at[i] - path.at[i - 1]) : 0;
      bool covered = mine && (path.track->frames[i].cut || path.track->frames[i - 1].cut);
      leaves = leaves || covered;
      for (Size j = 0; j < context.paths.size() && !covered; ++j) {
        if (j != b && of_colour(context.paths[j], colour) != mine) covered = touching(path, context.paths[j], k, 2);
      }
      if (covered) most = std::max(most, 2.4 * path.radius * (speed + 1));
    }
  }
  return most;
}

struct Change {
  int frame = -1;
  double before = 0, after = 0, severity = 0;
  Vec place;  // of what came or went
};

// Before and after the change the colour's amount is what it is at t also where nothing covers any of it: then it was
// not covered at t either.
bool lasts(const Context& context, const ColourArea& colour, int t, double before, double after) {
  const double size = std::abs(after - before);
  const auto seen_free = [&](int first, int last, double other) {
    for (int k = std::max(1, first); k <= std::min(context.frames - 2, last); ++k) {
      bool leaves = false;
      if (std::abs(colour.area[static_cast<Size>(k)] - other) > 0.7 * size &&
          passing(context, colour, k, leaves) <= 0 && !leaves)
        return true;
    }
    return false;
  };
  return seen_free(t - 14, t - 2, after) && seen_free(t + 2, t + 14, before);
}

// The largest sudden and lasting change of a colour's area.
Change largest_change(const Context& context, const ColourArea& colour) {
  Change out;
  const std::vector<double>& a = colour.area;
  const int n = static_cast<int>(a.size());
  if (n < 8) return out;
  std::vector<double> usual;
  for (Size t = 1; t < a.size(); ++t) usual.push_back(std::abs(a[t] - a[t - 1]));
  const auto high = usual.begin() + static_cast<std::ptrdiff_t>(usual.size() * 85 / 100);
  std::nth_element(usual.begin(), high, usual.end());
  for (int t = 2; t + 2 < n; ++t) {
    const Size i = static_cast<Size>(t);
    const double before = median({a[i - 1], a[i - 2], a[static_cast<Size>(std::max(0, t - 3))]}),
                 after = median({a[i], a[i + 1], a[static_cast<Size>(std::min(n - 1, t + 2))]});
    const double sudden = a[i] - a[i - 1], larger = std::max(before, after);
    if (larger < kLeast || (after - before) * sudden <= 0) continue;
    const double size = std::min(std::abs(after - before), std::abs(sudden));
    const double plain = std::max({0.1 * larger, 10.0, 6 * *high});
    if (size < 0.5 * plain) continue;
    bool leaves = false;
    const double covered = passing(context, colour, t, leaves);
    const bool certain = !leaves && covered > 0 && lasts(context, colour, t, before, after);
    const double severity = size / std::max(plain, certain ? 0.0 : 1.5 * covered);
    if (severity <= out.severity) continue;
    out = {t, before, after, severity, {}};
    const double d = a[i] - a[i - 1];
    out.place = {(a[i] * colour.x[i] - a[i - 1] * colour.x[i - 1]) / d,
                 (a[i] * colour.y[i] - a[i - 1] * colour.y[i - 1]) / d};
  }
  return out;
}

// A body of the size of the change that is first (way 1) or last (way −1) seen there and then.
const Path* toggled(const Context& context, const Change& change, int way) {
  const double size = std::abs(change.after - change.before);
  for (const Path& path : context.paths) {
    const int end = way > 0 ? path.track->first() : path.track->last(),
              wanted = way > 0 ? change.frame : change.frame - 1;
    if (end < 0 || std::abs(end - wanted) > 1) continue;
    const double ratio = path.track->frames[static_cast<Size>(end)].area / std::max(1.0, size);
    if (ratio > 0.6 && ratio < 1.6 && length(path.at[static_cast<Size>(end)] - change.place) < path.radius + 2)
      return &path;
  }
  return nullptr;
}

// A body that is there before and after has another colour from that frame on.
bool repainted(const Context& context, const Change& change) {
  return std::any_of(context.paths.begin(), context.paths.end(), [&](const Path& path) {
    const Size t = static_cast<Size>(change.frame);
    if (!path.seen[t] || !path.seen[t - 1] || length(path.at[t] - change.place) > path.radius + 2) return false;
    return tracking::colour_distance(path.track->frames[t].colour, path.track->frames[t - 1].colour) > 0.25;
  });
}

}  // namespace

void test_amounts(const Context& context, Verdict& permanence, Verdict& rigidity, Verdict& colour) {
  std::vector<Change> changes;
  for (const ColourArea& one : context.tracks->colours) changes.push_back(largest_change(context, one));
  for (Size i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (change.severity < 0.3) continue;
    const char* word = colour_name(context.tracks->colours[i].colour);
    const double difference = std::abs(change.after - change.before);
    bool recoloured = false;
    for (Size j = 0; j < changes.size() && !recoloured; ++j) {
      const Change& other = changes[j];
      recoloured = j != i && other.severity > 0.3 && other.frame == change.frame &&
                   (other.after > other.before) != (change.after > change.before) &&
                   std::abs(other.after - other.before) < 1.6 * difference &&
                   std::abs(other.after - other.before) > difference / 1.6 &&
                   length(other.place - change.place) < 0.06 * context.tracks->height + 2;
    }
    const double severity = std::min(4.0, change.severity);
    // White, grey and black are weighed in no amount: a body that is first or last seen there says as much.
    const bool grows = change.after > change.before;
    const Path* other = toggled(context, change, grows ? -1 : 1);
    recoloured = recoloured || (other != nullptr && !of_colour(*other, context.tracks->colours[i])) ||
                 repainted(context, change);
    const Path* own = toggled(context, change, grows ? 1 : -1);
    if (recoloured) {
      colour.add(change.frame, change.frame, severity, {},
                 say("what was %s takes another colour, or the reverse", word));
    } else if (own != nullptr && of_colour(*own, context.tracks->colours[i])) {
      permanence.add(change.frame, grows ? change.frame + 3 : context.frames - 1, severity, {},
                     grows ? say("something %s appears", word) : say("something %s vanishes", word));
    } else if (change.after < 0.08 * change.before) {
      permanence.add(change.frame, context.frames - 1, severity, {}, say("all that is %s vanishes", word));
    } else if (change.before < 0.08 * change.after) {
      permanence.add(change.frame, change.frame + 3, severity, {}, say("something %s appears", word));
    } else {
      rigidity.add(
          change.frame, change.frame, severity, {},
          say("what is %s changes its area at once by %+.0f%%", word, 100 * (change.after / change.before - 1)));
    }
  }
}

}  // namespace orrery::laws
