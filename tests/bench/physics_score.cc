// How well the physics score tells worlds' clips from their corrupted twins: ROC AUC overall, a kind and a scene, the
// law named right, the frame of violation within three, and how many lawful clips score 0.9 or more. "hidden ones too":
// with the twins that depart from their original but do not show what they break (worlds/observable.h).
// Usage: physics_score [--count N] [--seed N] [--size N] [--scene NAME] [--variant NAME] [--list] [--cache DIR]
//                      [--only INDEX --sheet DIR] [--against VARIANT] [--file VIDEO]
// Variants: plain; mp4 (written as `orrery simulate` does: 512², H.264 CRF 17), native (H.264 at the clip's own size),
// crf28 (the same at CRF 28), noise (σ 4 grey levels), fps15, fps60, background (clouds, which no clip is drawn with).
// --measured: errors of measured gravity, restitution, periods and momentum. --list: a line for each clip. --cache:
// tracks are kept there and read again. --against: how often the score's interval holds the score of the same clip in
// that variant. --dump: paths, events and laws of the clips. --sheet: clip INDEX and its twin as frames with what was
// tracked and last the background, one picture each. --file: what was tracked in a video, and nothing else.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/laws/context.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/report/overlay.h"
#include "physics_eval/worlds/corrupt.h"
#include "physics_eval/worlds/sample.h"
#include "tests/bench/physics_measured.h"
#include "tests/bench/track_cache.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::worlds;

namespace {

const std::map<std::string, std::set<std::string>> kLawOf = {
    {"gravity-off", {"gravity", "oscillation", "orbit"}},
    {"gravity-reversed", {"gravity", "oscillation", "orbit"}},
    {"gravity-doubled", {"gravity", "oscillation", "orbit"}},
    {"energy-gain", {"bounce", "oscillation", "momentum", "orbit"}},
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

struct Options {
  std::uint64_t count = 100, seed = 7001;
  int size = 96;
  std::string scene, variant = "plain", cache, sheet, file;
  std::int64_t only = -1;
  std::string against;
  bool list = false, dump = false, measured = false;
};

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--list") {
      out.list = true;
      continue;
    }
    if (name == "--measured") {
      out.measured = true;
      continue;
    }
    if (name == "--dump") {
      out.dump = true;
      continue;
    }
    ++i;
    if (name == "--count") {
      out.count = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--seed") {
      out.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--size") {
      out.size = std::atoi(value.c_str());
    } else if (name == "--scene") {
      out.scene = value;
    } else if (name == "--variant") {
      constexpr std::string_view kVariants[] = {"plain", "mp4",   "native", "crf28",
                                                "noise", "fps15", "fps60",  "background"};
      if (std::find(std::begin(kVariants), std::end(kVariants), value) == std::end(kVariants)) {
        std::fprintf(stderr, "physics_score: there is no variant %s\n", std::string(value).c_str());
        std::exit(2);
      }
      out.variant = value;
    } else if (name == "--cache") {
      out.cache = value;
    } else if (name == "--against") {
      out.against = value;
    } else if (name == "--sheet") {
      out.sheet = value;
    } else if (name == "--file") {
      out.file = value;
    } else if (name == "--only") {
      out.only = std::strtoll(value.c_str(), nullptr, 10);
    } else {
      std::fprintf(stderr, "physics_score: unknown option %s\n", name.c_str());
      std::exit(2);
    }
  }
  return out;
}

// The frames as a file gives them back.
void through_file(std::vector<Frame>& frames, double fps, int size, int quality) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("orrery_score_" + std::to_string(::getpid()) + ".mp4")).string();
  WriteOptions options;
  options.fps = fps, options.quality = quality;
  Clip clip;
  clip.fps = fps;
  for (Frame& frame : frames)
    clip.frames.push_back(size > frame.width() ? resize(frame, size, size, Filter::sharp) : std::move(frame));
  write_video(path, clip, options);
  frames = read_video(path).frames;
  std::filesystem::remove(path);
}

// Smooth noise in [0, 1] of three octaves; x and y in picture heights.
double cloud(double x, double y) {
  const auto corner = [](double i, double j, int octave) {
    return Random(9001, static_cast<std::uint64_t>((octave * 64 + static_cast<int>(j)) * 64 + static_cast<int>(i)))
        .uniform();
  };
  const auto ease = [](double t) { return t * t * (3 - 2 * t); };
  double sum = 0, weight = 0.5, frequency = 3;
  for (int octave = 0; octave < 3; ++octave) {
    const double u = x * frequency, v = y * frequency, i = std::floor(u), j = std::floor(v);
    const double top = std::lerp(corner(i, j, octave), corner(i + 1, j, octave), ease(u - i));
    const double bottom = std::lerp(corner(i, j + 1, octave), corner(i + 1, j + 1, octave), ease(u - i));
    sum += weight * std::lerp(top, bottom, ease(v - j));
    weight *= 0.5, frequency *= 2;
  }
  return sum / 0.875;
}

// The world's room before clouds in its own two colours, half as strong again.
Frame clouded_room(const World& world) {
  Frame frame(world.spec().width, world.spec().height);
  for (int y = 0; y < frame.height(); ++y) {
    for (int x = 0; x < frame.width(); ++x) {
      const float share = static_cast<float>(1.5 * cloud((x + 0.5) / frame.height(), (y + 0.5) / frame.height()));
      const Colour colour = mix(world.look().first, world.look().second, share);
      std::uint8_t* pixel = frame.at(x, y);
      int k = 0;
      for (const float value : {colour.r, colour.g, colour.b})
        pixel[k++] = static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    }
  }
  Canvas canvas(frame, world.metres_per_pixel());
  world.scene().paint_still(canvas);
  return frame;
}

std::vector<Frame> frames_of(const WorldSpec& spec, int count, bool clouds) {
  World world(spec);
  const Frame room = clouds ? clouded_room(world) : Frame();
  std::vector<Frame> frames;
  for (int t = 0; t < count; ++t) {
    if (t) world.step();
    frames.push_back(clouds ? room : world.draw());
    if (!clouds) continue;
    Canvas canvas(frames.back(), world.metres_per_pixel());
    world.scene().paint(canvas, world.truth());
  }
  return frames;
}

// The clip as its variant shows it.
void vary(std::vector<Frame>& frames, const WorldSpec& spec, const std::string& variant) {
  if (variant == "mp4") through_file(frames, spec.fps, 512, 75);
  if (variant == "native") through_file(frames, spec.fps, spec.width, 75);
  if (variant == "crf28") through_file(frames, spec.fps, spec.width, 51);
  if (variant == "noise") {
    Random random(spec.seed, 4242);
    for (Frame& frame : frames) {
      for (std::uint8_t& byte : frame.bytes())
        byte = static_cast<std::uint8_t>(std::lround(std::clamp(byte + 4 * random.normal(), 0.0, 255.0)));
    }
  }
}

// Every second frame at 256² with what was tracked and last the background, eight a row.
void write_sheet(const std::string& path, std::vector<Frame> frames, double fps) {
  const Tracks tracks = track(frames, fps);
  const PhysicsScore score = score_physics(tracks);
  constexpr int kSide = 256, kColumns = 8;
  const int count = static_cast<int>(frames.size() + 1) / 2, rows = (count + kColumns) / kColumns;
  Frame sheet(kSide * kColumns, kSide * rows);
  for (int k = 0; k <= count; ++k) {
    const bool last = k == count;
    Frame frame =
        resize(last ? tracks.background : frames[static_cast<std::size_t>(2 * k)], kSide, kSide, Filter::sharp);
    if (!last) draw_overlay(frame, 2 * k, tracks, score);
    for (int y = 0; y < kSide; ++y)
      std::copy_n(frame.row(y), 3 * kSide, sheet.at(k % kColumns * kSide, k / kColumns * kSide + y));
  }
  Clip clip;
  clip.frames.push_back(std::move(sheet));
  write_video(path, clip);
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

struct SceneTally {
  std::vector<double> clean;
  Tally broken;
  int high = 0;
};

void print(const std::string& name, const Tally& tally, const std::vector<double>& clean) {
  const double n = static_cast<double>(tally.severity.size());
  if (n == 0 || clean.empty()) return;
  std::printf("%-18s n %4.0f  AUC %.3f  law %.2f  frame %.2f", name.c_str(), n, auc(clean, tally.severity),
              tally.law / n, tally.frame / n);
}

void list(const std::string& scene, std::uint64_t index, const char* what, const PhysicsScore& score,
          const LawResult* named) {
  std::printf("%4llu %-18s %-16s score %.3f  %s", static_cast<unsigned long long>(index), scene.c_str(), what,
              score.score, score.reason.c_str());
  if (named)
    std::printf("%s %.2f frame %d: %s", named->law.c_str(), named->severity, named->frame, named->evidence.c_str());
  std::printf("\n");
}

// Everything that the laws start from.
void dump(const Tracks& tracks) {
  std::printf("picture %dx%d, %.2f pixels of the clip a pixel\n", tracks.width, tracks.height, tracks.scale);
  if (!tracks.reason.empty()) return;
  const laws::Context context(tracks);
  for (const laws::Path& path : context.paths) {
    std::printf("body %d %s area %.1f noise %.3f moves %d rigid %d attached %d fluid %d trust %.2f\n", path.track->id,
                path.track->colour_word.c_str(), path.track->area, path.noise, path.track->moves, path.rigid,
                path.attached, path.fluid, path.trust);
    for (int t = 0; t < path.frames(); ++t) {
      const Observation& o = path.track->frames[static_cast<std::size_t>(t)];
      if (o.visible)
        std::printf(" %d:%.2f,%.2f,%.0f%s%s%s%s", t, o.x, o.y, o.area, o.merged ? "m" : "", o.cut ? "c" : "",
                    o.completed ? "+" : "",
                    context.free[static_cast<std::size_t>(path.track->id)][static_cast<std::size_t>(t)] ? "f" : "");
    }
    std::printf("\n");
  }
  for (const ColourArea& colour : tracks.colours) {
    std::printf("colour %s\n", colour_name(colour.colour));
    for (std::size_t t = 0; t < colour.area.size(); ++t)
      std::printf(" %zu:%.2f,%.2f,%.0f", t, colour.x[t], colour.y[t], colour.area[t]);
    std::printf("\n");
  }
  for (const laws::Event& event : context.events) {
    std::printf("event body %d frame %d change %.2f,%.2f peak %.2f sigma %.3f jump %d solid %d line %d other %d\n",
                event.body, event.frame, event.change.x, event.change.y, event.peak, event.sigma, event.jump,
                event.on_solid, event.on_line, event.other);
  }
  for (const LawResult& law : score_physics(tracks).laws)
    std::printf("law %s applies %d severity %.2f frame %d %s\n", law.law.c_str(), law.applies, law.severity, law.frame,
                law.evidence.c_str());
}

// Clip `index` and a twin of it, tracked.
BenchPair make_pair(const Options& given, const SampleOptions& options, std::uint64_t index) {
  const int count = options.frames;
  const WorldSpec spec = sample_spec(given.seed, index, options);
  const bool clouds = given.variant == "background";
  std::vector<Frame> frames = frames_of(spec, count, clouds);
  const std::vector<Frame> lawful_frames = frames;
  vary(frames, spec, given.variant);
  if (!given.sheet.empty()) write_sheet(given.sheet + "/" + std::to_string(index) + "-lawful.png", frames, spec.fps);
  BenchPair pair;
  pair.scene = spec.scene;
  pair.lawful = track(frames, spec.fps);
  const std::vector<std::string> possible = corruptions_of(spec);
  Random random(given.seed, 77000 + index);
  WorldSpec twin = spec;
  pair.kind = possible[random.below(possible.size())];
  twin.corruption = CorruptionSpec{pair.kind, static_cast<int>(random.between(count / 6, count - 14))};
  const CorruptionTruth truth = judge_corruption(twin, count);
  if (!truth.departs) return pair;
  frames = frames_of(twin, count, clouds);
  if (frames == lawful_frames) return pair;  // what the break changes is not drawn
  pair.departs = true, pair.observable = truth.observable;
  pair.broken_at = truth.frame;
  while (pair.shown_at + 1 < count && !truth.broken[static_cast<std::size_t>(pair.shown_at)]) ++pair.shown_at;
  vary(frames, spec, given.variant);
  pair.twin = track(frames, spec.fps);
  if (!given.sheet.empty())
    write_sheet(given.sheet + "/" + std::to_string(index) + "-" + pair.kind + ".png", frames, spec.fps);
  return pair;
}

BenchPair pair_of(const Options& given, const SampleOptions& options, std::uint64_t index) {
  BenchPair pair;
  const std::string path = given.cache + "/" + given.variant + "-" + std::to_string(given.size) + "-" +
                           std::to_string(given.seed) + "-" + std::to_string(index) + given.scene + ".pair";
  if (!given.cache.empty() && load_pair(path, pair)) return pair;
  pair = make_pair(given, options, index);
  if (!given.cache.empty()) save_pair(path, pair);
  return pair;
}

SampleOptions sampling(const Options& given) {
  SampleOptions options;
  options.width = options.height = given.size;
  options.fps = given.variant == "fps15" ? 15 : given.variant == "fps60" ? 60 : 24;
  options.frames = static_cast<int>(std::lround(2 * options.fps));
  if (!given.scene.empty()) options.scenes = {given.scene};
  return options;
}

// How often the interval of a clip's score holds the score of the same clip in another variant, and how wide it is.
void measure_intervals(const Options& given) {
  Options other = given;
  other.variant = given.against;
  const SampleOptions options = sampling(given), other_options = sampling(other);
  int held = 0, clips = 0;
  double width = 0;
  const auto compare = [&](const Tracks& here, const Tracks& there) {
    const PhysicsScore a = score_physics(here), b = score_physics(there);
    if (std::isnan(a.score) || std::isnan(b.score)) return;
    const LawResult* named = nullptr;
    if (given.list) std::printf("severity %.3f %.3f\n", severity_of(a, named), severity_of(b, named));
    ++clips, width += a.high - a.low;
    held += b.score >= a.low - 1e-9 && b.score <= a.high + 1e-9;
  };
  for (std::uint64_t i = 0; i < given.count; ++i) {
    const BenchPair a = pair_of(given, options, i), b = pair_of(other, other_options, i);
    compare(a.lawful, b.lawful);
    if (a.departs && b.departs) compare(a.twin, b.twin);
  }
  std::printf("interval of %s holds the score in %s: %.3f of %d clips, mean width %.3f\n", given.variant.c_str(),
              given.against.c_str(), held / static_cast<double>(std::max(1, clips)), clips, width / std::max(1, clips));
}

}  // namespace

int main(int argc, char** argv) {
  const Options given = parse(argc, argv);
  if (!given.file.empty()) {
    const Clip clip = read_video(given.file);
    dump(track(clip.frames, clip.fps));
    if (!given.sheet.empty()) write_sheet(given.sheet + "/file.png", clip.frames, clip.fps);
    return 0;
  }
  if (!given.against.empty()) {
    measure_intervals(given);
    return 0;
  }
  const SampleOptions options = sampling(given);
  std::vector<double> clean;
  std::map<std::string, Tally> kinds;
  std::map<std::string, SceneTally> scenes;
  MeasuredErrors measured;
  Tally all, departing;
  int high = 0;
  for (std::uint64_t i = 0; i < given.count; ++i) {
    if (given.only >= 0 && i != static_cast<std::uint64_t>(given.only)) continue;
    const BenchPair pair = pair_of(given, options, i);
    const LawResult* named = nullptr;
    const PhysicsScore lawful = score_physics(pair.lawful);
    clean.push_back(severity_of(lawful, named));
    SceneTally& scene = scenes[pair.scene];
    scene.clean.push_back(clean.back());
    high += lawful.score >= 0.9, scene.high += lawful.score >= 0.9;
    if (given.list) list(pair.scene, i, "lawful", lawful, named);
    if (given.measured)
      add_measured_errors(sample_spec(given.seed, i, options), options.frames, pair.lawful.height, lawful, measured);
    if (given.dump) dump(pair.lawful), std::printf("twin: %s\n", pair.kind.c_str()), dump(pair.twin);
    if (!pair.departs) continue;
    const PhysicsScore broken = score_physics(pair.twin);
    const double severity = severity_of(broken, named);
    const bool law = named && kLawOf.at(pair.kind).count(named->law) > 0;
    const bool frame =
        named && (std::abs(named->frame - pair.shown_at) <= 3 || std::abs(named->frame - pair.broken_at) <= 3);
    if (given.list)
      list(pair.scene, i,
           (pair.kind + "@" + std::to_string(pair.broken_at) + (pair.observable ? "" : " shows nothing")).c_str(),
           broken, named);
    departing.severity.push_back(severity), departing.law += law, departing.frame += frame;
    if (!pair.observable) continue;
    for (Tally* tally : {&kinds[pair.kind], &scene.broken, &all})
      tally->severity.push_back(severity), tally->law += law, tally->frame += frame;
  }
  for (const auto& [kind, tally] : kinds) print(kind, tally, clean), std::printf("\n");
  for (const auto& [name, tally] : scenes) {
    print(name, tally.broken, tally.clean);
    std::printf("  clean %.2f of %zu\n", tally.high / static_cast<double>(tally.clean.size()), tally.clean.size());
  }
  print("all", all, clean), std::printf("\n");
  print("hidden ones too", departing, clean);
  std::printf("\nclean clips with a score of 0.9 or more: %.3f of %zu\n",
              high / static_cast<double>(std::max<std::size_t>(1, clean.size())), clean.size());
  print_measured_errors(measured);
}
