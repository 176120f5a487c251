#include "physics_eval/report/score_json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace orrery {

// Six significant digits are more than any measurement here has, and keep files readable.
Json rounded_number(double value) {
  if (!std::isfinite(value)) return {};
  if (value == 0) return 0.0;
  const double scale = std::pow(10, 6 - std::ceil(std::log10(std::abs(value))));
  return std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
}

namespace {

Json number(double value) { return rounded_number(value); }

Json against_json(const TrajectoryScores& scores) {
  Json bodies = Json::array();
  for (const BodyError& b : scores.bodies) {
    bodies.push_back(Json::object({{"body", b.body},
                                   {"truth", b.truth},
                                   {"seen", number(b.seen)},
                                   {"distance", number(b.distance)},
                                   {"velocity", number(b.velocity)}}));
  }
  return Json::object({{"matched", scores.matched},
                       {"missing", scores.missing},
                       {"extra", scores.extra},
                       {"frames", scores.frames},
                       {"distance", number(scores.distance)},
                       {"velocity", number(scores.velocity)},
                       {"distance_metres", number(scores.distance_metres)},
                       {"velocity_metres", number(scores.velocity_metres)},
                       {"pisa_l2", number(scores.pisa_l2)},
                       {"pisa_chamfer", number(scores.pisa_chamfer)},
                       {"pisa_iou", number(scores.pisa_iou)},
                       {"bodies", bodies}});
}

Json law_json(const LawResult& law) {
  Json measured = Json::object();
  for (const Measured& m : law.measured) {
    measured.set(m.name, Json::object({{"value", number(m.value)}, {"sigma", number(m.sigma)}, {"unit", m.unit}}));
  }
  return Json::object({{"law", law.law},
                       {"applies", law.applies},
                       {"score", law.applies ? number(law.score) : Json()},
                       {"violated", law.violated},
                       {"frame", law.violated ? Json(law.frame) : Json()},
                       {"severity", number(law.severity)},
                       {"bodies", Json(law.bodies)},
                       {"evidence", law.evidence},
                       {"measured", measured}});
}

const LawResult* worst_law(const PhysicsScore& score) {
  const LawResult* worst = nullptr;
  for (const LawResult& law : score.laws) {
    if (law.violated && (!worst || std::min(law.severity, 3.0) > std::min(worst->severity, 3.0))) worst = &law;
  }
  return worst;
}

}  // namespace

Json physics_json(const std::vector<ScoredClip>& clips, const std::vector<LeftOut>& left_out) {
  Json list = Json::array();
  for (const ScoredClip& clip : clips) {
    const PhysicsScore& s = clip.score;
    Json laws = Json::array(), frames = Json::array();
    for (const LawResult& law : s.laws) laws.push_back(law_json(law));
    for (const double frame : s.frames) frames.push_back(number(frame));
    Json entry = Json::object({{"file", clip.file},
                               {"score", number(s.score)},
                               {"interval", Json::Array{number(s.low), number(s.high)}},
                               {"violated", s.violated},
                               {"worst_frame", s.worst_frame < 0 ? Json() : Json(s.worst_frame)},
                               {"frames", frames},
                               {"laws", laws},
                               {"tracks", s.tracks}});
    if (!s.reason.empty()) entry.set("reason", s.reason);
    if (clip.against) entry.set("against", against_json(*clip.against));
    list.push_back(std::move(entry));
  }
  Json out = Json::array();
  for (const LeftOut& one : left_out) out.push_back(Json::object({{"file", one.file}, {"reason", one.reason}}));
  return Json::object({{"schema", 1}, {"clips", list}, {"left_out", out}});
}

Json frames_json(const FrameScores& scores) {
  Json frames = Json::array();
  for (const FrameScore& f : scores.frames) frames.push_back(Json::object({{"psnr", f.psnr}, {"ssim", f.ssim}}));
  return Json::object({{"psnr", scores.mean.psnr}, {"ssim", scores.mean.ssim}, {"frames", frames}});
}

std::string physics_table(const std::vector<ScoredClip>& clips, const std::vector<LeftOut>& left_out) {
  std::string out;
  for (const ScoredClip& clip : clips) {
    char head[32];
    if (std::isnan(clip.score.score)) {
      std::snprintf(head, sizeof head, "   -   ");
    } else {
      std::snprintf(head, sizeof head, " %.3f ", clip.score.score);
    }
    out += head + clip.file;
    const LawResult* worst = worst_law(clip.score);
    if (!clip.score.reason.empty()) {
      out += ": " + clip.score.reason;
    } else if (worst) {
      out += ": " + worst->law + ", frame " + std::to_string(worst->frame) + ": " + worst->evidence;
    } else {
      out += ": nothing against physics found";
    }
    out += "\n";
    if (clip.against) {
      char line[200];
      std::snprintf(line, sizeof line,
                    "       against the truth: %d bodies matched, %d missing, %d extra; distance %.4f, velocity %.4f "
                    "(heights, heights/s), IoU %.3f\n",
                    clip.against->matched, clip.against->missing, clip.against->extra, clip.against->distance,
                    clip.against->velocity, clip.against->pisa_iou);
      out += line;
    }
  }
  for (const LeftOut& one : left_out) out += " left out " + one.file + ": " + one.reason + "\n";
  return out;
}

}  // namespace orrery
