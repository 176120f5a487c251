// orrery score fvd and physics-iq: sets of videos against sets of real ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/command_score.h"
#include "core/base/error.h"
#include "core/io/safetensors.h"
#include "physics_eval/fvd/features.h"
#include "physics_eval/fvd/frechet.h"
#include "physics_eval/fvd/protocol.h"
#include "physics_eval/metrics/physics_iq.h"
#include "video/io/reader.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;
using Features = std::vector<std::vector<double>>;

struct FvdArguments {
  std::vector<std::string> real, generated;
  std::string features = "builtin", protocol = "orrery", covariance, save_real;
  int frames = 0, bootstrap = 200;
};

// A set's features, and how they were made: by us from videos, or as a file says; nothing known otherwise.
struct FeatureSet {
  Features features;
  std::string made_with;
};

// Features computed elsewhere, or kept by --save-real: a safetensors file with one F32 or F64 tensor [clips, values].
FeatureSet read_features(const std::string& path) {
  const Safetensors file = Safetensors::open(path);
  ORRERY_CHECK(file.entries().size() == 1, path, " has ", file.entries().size(), " tensors, expected one of features");
  const SafetensorsEntry& entry = file.entries()[0];
  ORRERY_CHECK(entry.shape.size() == 2 && entry.shape[0] > 0 && entry.shape[1] > 0 &&
                   (entry.dtype == FileDType::F32 || entry.dtype == FileDType::F64),
               path, ": the features are ", entry.describe(), ", expected F32 or F64 [clips, values]");
  const std::size_t n = static_cast<std::size_t>(entry.shape[0]), d = static_cast<std::size_t>(entry.shape[1]);
  FeatureSet out{Features(n, std::vector<double>(d)), {}};
  const auto made = file.metadata().find("made_with");
  if (made != file.metadata().end()) out.made_with = made->second;
  for (std::size_t i = 0; i < n * d; ++i) {
    double value = 0;
    if (entry.dtype == FileDType::F64) {
      std::memcpy(&value, &entry.data[8 * i], 8);
    } else {
      float single = 0;
      std::memcpy(&single, &entry.data[4 * i], 4);
      value = static_cast<double>(single);
    }
    ORRERY_CHECK(std::isfinite(value), path, ": the feature of clip ", i / d, " is not finite");
    out.features[i / d][i % d] = value;
  }
  return out;
}

void save_features(const std::string& path, const FeatureSet& set) {
  const std::size_t n = set.features.size(), d = set.features[0].size();
  std::vector<double> values;
  for (const auto& feature : set.features) values.insert(values.end(), feature.begin(), feature.end());
  SafetensorsEntry entry;
  entry.name = "features", entry.dtype = FileDType::F64;
  entry.shape = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(d)};
  entry.data = std::as_bytes(std::span<const double>(values));
  write_safetensors(path, std::span(&entry, 1), {{"made_with", set.made_with}});
}

bool is_feature_file(const std::vector<std::string>& inputs) {
  return inputs.size() == 1 && fs::path(inputs[0]).extension() == ".safetensors";
}

FeatureSet features_of(const std::vector<std::string>& inputs, const FvdArguments& arguments,
                       std::vector<LeftOut>& left_out) {
  if (is_feature_file(inputs)) return read_features(inputs[0]);
  const std::unique_ptr<FeatureExtractor> extractor = make_features(arguments.features);
  const FvdProtocol& protocol = fvd_protocol(arguments.protocol);
  const int least = std::max({arguments.frames, extractor->least_frames(), protocol.least_frames});
  FeatureSet out;
  out.made_with = "orrery " + extractor->name() + ", " + (protocol.crop ? "middle square" : "squashed") + ", " +
                  (arguments.frames > 0 ? "first " + std::to_string(arguments.frames) + " frames" : "all frames");
  for (const std::string& file : gather_videos(inputs, left_out)) {
    try {
      Clip clip = read_video(file);
      ORRERY_CHECK(static_cast<int>(clip.frames.size()) >= least, file, " has ", clip.frames.size(),
                   " frames, expected at least ", least);
      if (arguments.frames > 0) clip.frames.resize(static_cast<std::size_t>(arguments.frames));
      if (protocol.crop) {
        for (Frame& frame : clip.frames) frame = middle_square(frame);
      }
      out.features.push_back(extractor->extract(clip.frames));
    } catch (const InputError& error) {
      left_out.push_back({file, error.what()});
    }
  }
  ORRERY_CHECK(!out.features.empty(), "[score fvd] no usable video among ", inputs[0],
               left_out.empty() ? std::string() : ": " + left_out.back().reason);
  if (arguments.protocol == "google-research" && out.features.size() >= 16)
    out.features.resize(out.features.size() / 16 * 16);
  return out;
}

Json interval_json(const Interval& interval) {
  return Json(Json::Array{rounded_number(interval.low), rounded_number(interval.high)});
}

// All figures of one comparison.
struct FvdFigures {
  double value = 0, jedi = 0;
  std::optional<double> kernel;
  std::optional<Interval> interval, kernel_interval;
};

FvdFigures fvd_figures(const Features& real, const Features& generated, int bootstrap, bool unbiased,
                       std::uint64_t seed) {
  FvdFigures out;
  out.value = set_distance(real, generated, SetDistance::frechet, unbiased);
  out.jedi = jedi_distance(real, generated);
  if (real.size() < 2 || generated.size() < 2) return out;
  // Each round costs a matrix root: fewer for long features.
  const int rounds = std::min(bootstrap, real[0].size() > 300 ? 50 : 1000);
  out.kernel = kernel_distance(real, generated);
  if (rounds < 2) return out;
  out.interval = bootstrap_interval(real, generated, SetDistance::frechet, rounds, seed, unbiased);
  out.kernel_interval = bootstrap_interval(real, generated, SetDistance::kernel, rounds, seed);
  return out;
}

void score_fvd(const FvdArguments& arguments, CommonOptions& common) {
  const FvdProtocol& protocol = fvd_protocol(arguments.protocol);
  std::vector<LeftOut> left_out;
  const FeatureSet real_set = features_of(arguments.real, arguments, left_out),
                   generated_set = features_of(arguments.generated, arguments, left_out);
  const Features &real = real_set.features, &generated = generated_set.features;
  ORRERY_CHECK(real[0].size() == generated[0].size(), "[score fvd] features of ", real[0].size(), " and ",
               generated[0].size(), " values cannot be compared");
  ORRERY_CHECK(real_set.made_with == generated_set.made_with, "[score fvd] the real set's features are \"",
               real_set.made_with, "\", the generated set's \"", generated_set.made_with,
               "\": they cannot be compared");
  if (!arguments.save_real.empty()) save_features(arguments.save_real, real_set);
  const bool given = real_set.made_with.empty();
  const bool unbiased = arguments.covariance.empty() ? !protocol.population : arguments.covariance == "unbiased";
  const std::uint64_t seed = static_cast<std::uint64_t>(std::max<std::int64_t>(0, common.seed));
  const FvdFigures figures = fvd_figures(real, generated, arguments.bootstrap, unbiased, seed);
  const bool singular = std::min(real.size(), generated.size()) <= real[0].size();
  if (common.json) {
    Json left = Json::array();
    for (const LeftOut& one : left_out) left.push_back(Json::object({{"file", one.file}, {"reason", one.reason}}));
    print_json(Json::object({{"metric", given ? "frechet" : "fvd-orrery"},
                             {"value", rounded_number(figures.value)},
                             {"ci", figures.interval ? interval_json(*figures.interval) : Json()},
                             {"kvd", figures.kernel ? rounded_number(*figures.kernel) : Json()},
                             {"kvd_ci", figures.kernel_interval ? interval_json(*figures.kernel_interval) : Json()},
                             {"jedi", rounded_number(figures.jedi)},
                             {"protocol", arguments.protocol},
                             {"features", given ? "file" : real_set.made_with},
                             {"dimension", real[0].size()},
                             {"covariance", unbiased ? "unbiased" : "population"},
                             {"n_real", real.size()},
                             {"n_generated", generated.size()},
                             {"frames", arguments.frames > 0 ? Json(arguments.frames) : Json()},
                             {"singular", singular},
                             {"left_out", left}}));
    return;
  }
  std::printf("%s %.4f", given ? "Frechet distance (features from files)" : "FVD (orrery features)", figures.value);
  if (figures.interval) std::printf("  [%.4f, %.4f]", figures.interval->low, figures.interval->high);
  if (figures.kernel) std::printf("  KVD %.5f", *figures.kernel);
  std::printf("  %zu real, %zu generated clips; protocol %s: covariance over %s\n", real.size(), generated.size(),
              arguments.protocol.c_str(), unbiased ? "N - 1" : "N");
  if (protocol.clips > 0 && static_cast<int>(std::min(real.size(), generated.size())) < protocol.clips)
    std::printf("%s figures are made with %d clips a set\n", arguments.protocol.c_str(), protocol.clips);
  if (singular)
    std::printf("fewer clips than the features' %zu values: the figure depends on their number\n", real[0].size());
  for (const LeftOut& one : left_out) std::printf(" left out %s: %s\n", one.file.c_str(), one.reason.c_str());
}

// What a Physics-IQ name says: ID_testing-videos_30FPS_VIEW_take-K_SCENARIO or ID_VIEW_SCENARIO.
struct IqName {
  std::string id, view, scenario;
  int take = 0, fps = 0;
};

std::optional<IqName> parse_iq_name(const std::string& path) {
  const std::string stem = fs::path(path).stem().string();
  std::vector<std::string> parts(1);
  for (const char c : stem) {
    if (c == '_') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() == 3) return IqName{parts[0], parts[1], parts[2], 0, 0};
  if (parts.size() < 6 || parts[1] != "testing-videos" || parts[4].rfind("take-", 0) != 0) return std::nullopt;
  return IqName{parts[0], parts[3], parts[5], std::atoi(parts[4].c_str() + 5), std::atoi(parts[2].c_str())};
}

struct IqPair {
  std::string take1, take2, generated;
  int fps = 0;
};

// Real takes and generated videos by scenario and view.
std::map<std::string, IqPair> pair_iq(const std::string& real, const std::string& generated,
                                      std::vector<LeftOut>& left_out) {
  std::map<std::string, IqPair> out;
  for (const std::string& file : gather_videos({real}, left_out)) {
    const auto name = parse_iq_name(file);
    if (!name || name->take < 1 || name->take > 2 || name->fps <= 0) {
      left_out.push_back({file, "the name is not ID_testing-videos_FPSFPS_VIEW_take-K_SCENARIO"});
      continue;
    }
    IqPair& pair = out[name->scenario + " " + name->view];
    (name->take == 1 ? pair.take1 : pair.take2) = file;
    pair.fps = name->fps;
  }
  for (const std::string& file : gather_videos({generated}, left_out)) {
    const auto name = parse_iq_name(file);
    const auto found = name && name->take == 0 ? out.find(name->scenario + " " + name->view) : out.end();
    if (found == out.end()) {
      left_out.push_back({file, "no real video has its scenario and view (ID_VIEW_SCENARIO)"});
    } else {
      found->second.generated = file;
    }
  }
  return out;
}

PhysicsIqView score_view(const IqPair& pair) {
  ReadOptions reading;
  reading.fps = pair.fps;
  const Clip one = read_video(pair.take1, reading), two = read_video(pair.take2, reading),
             generated = read_video(pair.generated, reading);
  const int width = one.frames[0].width() / 4, height = one.frames[0].height() / 4;
  const int count = 5 * pair.fps;
  const PhysicsIqClip a = prepare_physics_iq(one.frames, width, height, count);
  PhysicsIqView out;
  out.variance = compare_physics_iq(a, prepare_physics_iq(two.frames, width, height, count));
  out.model = compare_physics_iq(a, prepare_physics_iq(generated.frames, width, height, count));
  return out;
}

Json metrics_json(const PhysicsIqMetrics& m) {
  return Json::object({{"spatial_iou", rounded_number(m.spatial_iou)},
                       {"spatiotemporal_iou", rounded_number(m.spatiotemporal_iou)},
                       {"weighted_spatial_iou", rounded_number(m.weighted_spatial_iou)},
                       {"mse", rounded_number(m.mse)}});
}

void score_physics_iq(const std::string& real, const std::string& generated, CommonOptions& common) {
  std::vector<LeftOut> left_out;
  const std::map<std::string, IqPair> pairs = pair_iq(real, generated, left_out);
  std::vector<PhysicsIqView> views;
  Json list = Json::array();
  for (const auto& [key, pair] : pairs) {
    if (pair.generated.empty() || pair.take1.empty() || pair.take2.empty()) {
      left_out.push_back({key, pair.generated.empty() ? "no generated video" : "a real take is missing"});
      continue;
    }
    try {
      views.push_back(score_view(pair));
    } catch (const InputError& error) {
      left_out.push_back({pair.generated, error.what()});
      continue;
    }
    list.push_back(Json::object({{"view", key},
                                 {"file", pair.generated},
                                 {"model", metrics_json(views.back().model)},
                                 {"variance", metrics_json(views.back().variance)}}));
    if (!common.json) {
      const PhysicsIqMetrics& m = views.back().model;
      std::printf("%-48s spatial %.3f  spatiotemporal %.3f  weighted %.3f  MSE %.5f\n", key.c_str(), m.spatial_iou,
                  m.spatiotemporal_iou, m.weighted_spatial_iou, m.mse);
    }
  }
  ORRERY_CHECK(!views.empty(), "[score physics-iq] no scenario has two real takes and a generated video",
               left_out.empty() ? std::string() : "; first left out: " + left_out[0].file + ": " + left_out[0].reason);
  const double original = physics_iq_score(views), verified = physics_iq_verified_score(views);
  if (common.json) {
    Json left = Json::array();
    for (const LeftOut& one : left_out) left.push_back(Json::object({{"file", one.file}, {"reason", one.reason}}));
    print_json(Json::object({{"score", rounded_number(original)},
                             {"verified", rounded_number(verified)},
                             {"views", list},
                             {"left_out", left}}));
    return;
  }
  std::printf("Physics-IQ %.2f, verified %.2f, over %zu views\n", original, verified, views.size());
  for (const LeftOut& one : left_out) std::printf(" left out %s: %s\n", one.file.c_str(), one.reason.c_str());
}

}  // namespace

void add_score_fvd(CLI::App& score, CommonOptions& common) {
  CLI::App* command = score.add_subcommand("fvd", "How far a set of videos is from a set of real ones");
  auto arguments = std::make_shared<FvdArguments>();
  command->add_option("--real", arguments->real, "Real videos, folders of them, or features (.safetensors)")
      ->required();
  command->add_option("--generated", arguments->generated, "Generated ones")->required();
  command->add_option("--features", arguments->features, "What describes a clip")
      ->check(CLI::IsMember({"builtin", "motion"}))
      ->capture_default_str();
  command->add_option("--frames", arguments->frames, "Use the first so many frames of each clip (0: all)")
      ->capture_default_str();
  command->add_option("--protocol", arguments->protocol, "Prepare clips as this implementation does")
      ->check(CLI::IsMember(fvd_protocol_names()))
      ->capture_default_str();
  command
      ->add_option("--covariance", arguments->covariance,
                   "Divide by N - 1 (unbiased) or by N (population); default: as the protocol does")
      ->check(CLI::IsMember({"unbiased", "population"}));
  command->add_option("--save-real", arguments->save_real,
                      "Keep the real set's features in this .safetensors file; it can be --real next time");
  command->add_option("--bootstrap", arguments->bootstrap, "Resamplings for the intervals (0: none)")
      ->capture_default_str();
  command->footer("Example: orrery score fvd --real clips/ --generated samples/");
  command->callback([&common, arguments] { score_fvd(*arguments, common); });
}

void add_score_physics_iq(CLI::App& score, CommonOptions& common) {
  CLI::App* command = score.add_subcommand("physics-iq", "Physics-IQ, original and verified, with all sub-metrics");
  auto real = std::make_shared<std::string>(), generated = std::make_shared<std::string>();
  command->add_option("--real", *real, "Folder of ID_testing-videos_30FPS_VIEW_take-K_SCENARIO.mp4")->required();
  command->add_option("--generated", *generated, "Folder of ID_VIEW_SCENARIO.mp4")->required();
  command->footer("Example: orrery score physics-iq --real testing-videos/30FPS --generated samples/");
  command->callback([&common, real, generated] { score_physics_iq(*real, *generated, common); });
}

}  // namespace orrery::cli
