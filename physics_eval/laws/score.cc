#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <limits>

#include "core/base/error.h"
#include "physics_eval/laws/context.h"

namespace orrery {

namespace laws {

Context::Context(const Tracks& given)
    : tracks(&given),
      paths(make_paths(given)),
      solids(given, paths),
      events(find_events(paths, solids, given.lines)),
      frames(paths.empty() ? 0 : paths[0].frames()) {
  if (solids.see_through(paths, events)) events = find_events(paths, solids, given.lines);
  swings.assign(paths.size(), 0);
  orbits = find_orbits(*this);
  swings = find_swings(*this);
  free = find_free(*this);
  free_fall = find_free_fall(*this, steady_frames);
}

void Verdict::add(int frame, int last, double severity, std::vector<int> bodies, std::string evidence) {
  if (severity > 0.05) findings.push_back({frame, last, severity, std::move(bodies), std::move(evidence)});
}

std::string say(const char* format, ...) {
  char buffer[160];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

namespace {

struct Row {
  const char* name;
  Verdict (*test)(const Context&);
  /// Severity at the border between lawful and broken, from the calibration clips.
  double border;
};

// In the order in which an equally severe violation is named.
constexpr std::array<Row, 13> kLaws{{{"permanence", test_permanence, 1},
                                     {"rigidity", test_rigidity, 1.3},
                                     {"colour", test_colour, 1},
                                     {"time", test_time, 1},
                                     {"inertia", test_inertia, 1.15},
                                     {"interpenetration", test_interpenetration, 1},
                                     {"gravity", test_gravity, 1},
                                     {"gravity-ratio", test_gravity_ratio, 1},
                                     {"oscillation", test_oscillation, 1},
                                     {"orbit", test_orbit, 1},
                                     {"bounce", test_bounce, 1},
                                     {"momentum", test_momentum, 1.2},
                                     {"volume", test_volume, 1.6}}};

// Severities of one clip in other renderings (noise, a codec, another size) lie within this factor and this much of one
// another in nine clips of ten: measured on the calibration clips, docs/physics-score.md.
constexpr double kIntervalFactor = 2.0, kIntervalOffset = 0.25;

double to_score(double severity) { return 1 / (1 + severity * severity * severity * severity); }

// Findings count as far as the bodies they are about can be trusted.
void weigh(Verdict& verdict, const Context& context) {
  for (Finding& finding : verdict.findings) {
    double trust = 1;
    for (const int id : finding.bodies) {
      for (const Path& path : context.paths) {
        if (path.track->id == id) trust = std::min(trust, path.trust);
      }
    }
    finding.severity *= trust;
  }
}

LawResult judge(const Row& row, const Verdict& verdict, std::vector<double>& frames) {
  LawResult out;
  out.law = row.name;
  out.applies = verdict.applies || !verdict.findings.empty();
  out.measured = verdict.measured;
  double most = 0;
  for (const Finding& finding : verdict.findings) {
    most = std::max(most, finding.severity);
    const double score = to_score(finding.severity / row.border);
    for (int t = std::max(0, finding.frame); t <= std::min(finding.last, static_cast<int>(frames.size()) - 1); ++t) {
      double& here = frames[static_cast<std::size_t>(t)];
      here = std::min(here, score);
    }
  }
  // The first of those that are severe enough to be the cause: what follows from a break is often larger than the
  // break.
  const Finding* worst = nullptr;
  for (const Finding& finding : verdict.findings) {
    if (finding.severity < std::min(0.7 * most, 1.5 * row.border)) continue;
    if (!worst || finding.frame < worst->frame) worst = &finding;
  }
  if (!worst) return out;
  out.severity = most / row.border;
  out.score = to_score(out.severity);
  out.violated = out.severity > 1;
  out.frame = worst->frame;
  out.bodies = worst->bodies;
  out.evidence = worst->evidence;
  return out;
}

}  // namespace

}  // namespace laws

const std::vector<std::string>& law_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& row : laws::kLaws) out.emplace_back(row.name);
    return out;
  }();
  return names;
}

PhysicsScore score_physics(const Tracks& tracks, const LawOptions& options) {
  for (const std::string& name : options.only) {
    const auto& all = law_names();
    ORRERY_CHECK(std::find(all.begin(), all.end(), name) != all.end(), "[score physics] there is no law \"", name,
                 "\"");
  }
  PhysicsScore out;
  out.tracks = static_cast<int>(tracks.tracks.size());
  out.reason = tracks.reason;
  out.score = std::numeric_limits<double>::quiet_NaN();
  out.low = out.high = out.score;
  if (!tracks.reason.empty()) return out;
  const laws::Context context(tracks);
  out.frames.assign(static_cast<std::size_t>(context.frames), 1.0);
  double score = 1, severity = 0;
  bool any = false;
  for (const auto& row : laws::kLaws) {
    if (!options.only.empty() && std::find(options.only.begin(), options.only.end(), row.name) == options.only.end())
      continue;
    laws::Verdict verdict = row.test(context);
    laws::weigh(verdict, context);
    out.laws.push_back(laws::judge(row, verdict, out.frames));
    any = any || out.laws.back().applies;
    if (out.laws.back().applies) {
      score = std::min(score, out.laws.back().score);
      severity = std::max(severity, out.laws.back().severity);
    }
    out.violated = out.violated || out.laws.back().violated;
  }
  // What breaks a law in a picture that stands still otherwise (a body that vanishes) moves too.
  const bool moves =
      out.violated || std::any_of(tracks.tracks.begin(), tracks.tracks.end(), [](const Track& t) { return t.moves; });
  if (!any || !moves) {
    out.reason = moves ? "no law applies to what moves" : "nothing moves";
    return out;
  }
  out.score = score;
  const auto worst = std::min_element(out.frames.begin(), out.frames.end());
  if (worst != out.frames.end() && *worst < 0.999) out.worst_frame = static_cast<int>(worst - out.frames.begin());
  out.low = laws::to_score(severity * laws::kIntervalFactor + laws::kIntervalOffset);
  out.high = laws::to_score(std::max(0.0, severity - laws::kIntervalOffset) / laws::kIntervalFactor);
  return out;
}

}  // namespace orrery
