// How well the physics score tells worlds' clips from their corrupted twins: ROC AUC overall and a kind, the law named
// right, the frame of violation within three. Usage: physics_score COUNT [SEED] [SIZE] [SCENE]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/worlds/corrupt.h"
#include "physics_eval/worlds/sample.h"

using namespace orrery;
using namespace orrery::worlds;

namespace {

constexpr int kFrames = 48;

const std::map<std::string, std::set<std::string>> kLawOf = {{"gravity-off", {"gravity", "oscillation"}},
                                                             {"gravity-reversed", {"gravity", "oscillation"}},
                                                             {"gravity-doubled", {"gravity", "oscillation"}},
                                                             {"energy-gain", {"bounce", "oscillation", "momentum"}},
                                                             {"momentum", {"momentum"}},
                                                             {"teleport", {"permanence"}},
                                                             {"vanish", {"permanence"}},
                                                             {"appear", {"permanence"}},
                                                             {"size-change", {"rigidity"}},
                                                             {"shape-change", {"rigidity"}},
                                                             {"colour-change", {"colour"}},
                                                             {"sudden-stop", {"inertia"}},
                                                             {"frozen", {"inertia"}},
                                                             {"jitter", {"inertia"}},
                                                             {"reversed-time", {"time"}},
                                                             {"pass-floor", {"interpenetration"}},
                                                             {"pass-through", {"interpenetration"}},
                                                             {"volume", {"volume"}}};

PhysicsScore score_of(const WorldSpec& spec) {
  World world(spec);
  std::vector<Frame> frames;
  for (int t = 0; t < kFrames; ++t) {
    if (t) world.step();
    frames.push_back(world.draw());
  }
  return score_physics(track(frames, spec.fps));
}

// The greatest severity, and the law that is named: the first of the most severe, where 3 is as sure as it gets.
double severity_of(const PhysicsScore& score, const LawResult*& named) {
  double most = 0, capped = 0;
  named = nullptr;
  for (const LawResult& law : score.laws) {
    most = std::max(most, law.severity);
    if (std::min(law.severity, 3.0) > capped) capped = std::min(law.severity, 3.0), named = &law;
  }
  return most;
}

double auc(const std::vector<double>& clean, const std::vector<double>& broken) {
  double sum = 0;
  for (const double b : broken) {
    for (const double c : clean) sum += b > c ? 1 : b == c ? 0.5 : 0;
  }
  return sum / static_cast<double>(clean.size() * broken.size());
}

struct Tally {
  std::vector<double> severity;
  int law = 0, frame = 0;
};

void print(const std::string& name, const Tally& tally, const std::vector<double>& clean) {
  const double n = static_cast<double>(tally.severity.size());
  if (n == 0 || clean.empty()) return;
  std::printf("%-17s n %4.0f  AUC %.3f  law %.2f  frame %.2f\n", name.c_str(), n, auc(clean, tally.severity),
              tally.law / n, tally.frame / n);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 7001;
  SampleOptions options;
  options.width = options.height = argc > 3 ? std::atoi(argv[3]) : 96;
  options.frames = kFrames;
  if (argc > 4) options.scenes = {argv[4]};
  std::vector<double> clean;
  std::map<std::string, Tally> kinds;
  Tally all;
  int high = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const WorldSpec spec = sample_spec(seed, i, options);
    const LawResult* named = nullptr;
    const PhysicsScore lawful = score_of(spec);
    clean.push_back(severity_of(lawful, named));
    high += lawful.score >= 0.9;
    const std::vector<std::string> possible = corruptions_of(spec);
    Random random(seed, 77000 + i);
    WorldSpec twin = spec;
    const std::string kind = possible[random.below(possible.size())];
    twin.corruption = CorruptionSpec{kind, static_cast<int>(random.between(8, kFrames - 14))};
    const CorruptionTruth truth = judge_corruption(twin, kFrames);
    if (!truth.observable) continue;
    int shown = 0;
    while (shown + 1 < kFrames && !truth.broken[static_cast<std::size_t>(shown)]) ++shown;
    const PhysicsScore broken = score_of(twin);
    const double severity = severity_of(broken, named);
    const bool law = named && kLawOf.at(kind).count(named->law) > 0;
    const bool frame = named && (std::abs(named->frame - shown) <= 3 || std::abs(named->frame - truth.frame) <= 3);
    for (Tally* tally : {&kinds[kind], &all})
      tally->severity.push_back(severity), tally->law += law, tally->frame += frame;
  }
  for (const auto& [kind, tally] : kinds) print(kind, tally, clean);
  print("all", all, clean);
  std::printf("clean clips with a score of 0.9 or more: %.3f\n",
              high / static_cast<double>(std::max<std::size_t>(1, clean.size())));
}
