// orrery score fvd and physics-iq: sets of videos against sets of real ones.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/command_score.h"
#include "apps/pipeline/feature_set.h"
#include "apps/pipeline/physics_iq_folders.h"
#include "core/base/error.h"
#include "physics_eval/fvd/protocol.h"

namespace orrery::cli {

namespace {

struct FvdArguments {
  std::vector<std::string> real, generated;
  FeatureOptions making;
  std::string covariance, save_real;
  int bootstrap = 200;
};

Json interval_json(const Interval& interval) {
  return Json(Json::Array{rounded_number(interval.low), rounded_number(interval.high)});
}

Json left_out_json(const std::vector<LeftOut>& left_out) {
  Json out = Json::array();
  for (const LeftOut& one : left_out) out.push_back(Json::object({{"file", one.file}, {"reason", one.reason}}));
  return out;
}

void print_left_out(const std::vector<LeftOut>& left_out) {
  for (const LeftOut& one : left_out) std::printf(" left out %s: %s\n", one.file.c_str(), one.reason.c_str());
}

void score_fvd(const FvdArguments& arguments, CommonOptions& common) {
  const FvdProtocol& protocol = fvd_protocol(arguments.making.protocol);
  std::vector<LeftOut> left_out;
  const FeatureSet real = features_of(arguments.real, arguments.making, left_out),
                   generated = features_of(arguments.generated, arguments.making, left_out);
  const bool unbiased = arguments.covariance.empty() ? !protocol.population : arguments.covariance == "unbiased";
  const std::uint64_t seed = static_cast<std::uint64_t>(std::max<std::int64_t>(0, common.seed));
  const SetFigures figures = compare_sets(real, generated, arguments.bootstrap, unbiased, seed);
  if (!arguments.save_real.empty()) save_features(arguments.save_real, real);
  const std::size_t dimension = real.features[0].size();
  const bool singular = std::min(real.features.size(), generated.features.size()) <= dimension;
  if (common.json) {
    print_json(Json::object({{"metric", real.metric},
                             {"value", rounded_number(figures.value)},
                             {"ci", figures.interval ? interval_json(*figures.interval) : Json()},
                             {"kvd", figures.kernel ? rounded_number(*figures.kernel) : Json()},
                             {"kvd_ci", figures.kernel_interval ? interval_json(*figures.kernel_interval) : Json()},
                             {"jedi", rounded_number(figures.jedi)},
                             {"protocol", arguments.making.protocol},
                             {"features", real.made_with.empty() ? "file" : real.made_with},
                             {"dimension", dimension},
                             {"covariance", unbiased ? "unbiased" : "population"},
                             {"n_real", real.features.size()},
                             {"n_generated", generated.features.size()},
                             {"frames", arguments.making.frames > 0 ? Json(arguments.making.frames) : Json()},
                             {"singular", singular},
                             {"left_out", left_out_json(left_out)}}));
    return;
  }
  std::printf("%s %.4f", real.title.c_str(), figures.value);
  if (figures.interval) std::printf("  [%.4f, %.4f]", figures.interval->low, figures.interval->high);
  if (figures.kernel) std::printf("  KVD %.5f", *figures.kernel);
  std::printf("  %zu real, %zu generated vectors; protocol %s: covariance over %s\n", real.features.size(),
              generated.features.size(), arguments.making.protocol.c_str(), unbiased ? "N - 1" : "N");
  const int fewer = std::min(real.clips, generated.clips);
  if (protocol.clips > 0 && fewer > 0 && fewer < protocol.clips)
    std::printf("%s figures are made with %d clips a set\n", arguments.making.protocol.c_str(), protocol.clips);
  if (singular) std::printf("fewer vectors than their %zu values: the figure depends on their number\n", dimension);
  print_left_out(left_out);
}

Json metrics_json(const PhysicsIqMetrics& m) {
  return Json::object({{"spatial_iou", rounded_number(m.spatial_iou)},
                       {"spatiotemporal_iou", rounded_number(m.spatiotemporal_iou)},
                       {"weighted_spatial_iou", rounded_number(m.weighted_spatial_iou)},
                       {"mse", rounded_number(m.mse)}});
}

void score_physics_iq(const std::string& real, const std::string& generated, CommonOptions& common) {
  std::vector<LeftOut> left_out;
  std::vector<PhysicsIqView> views;
  Json list = Json::array();
  score_physics_iq_pairs(
      pair_physics_iq(real, generated, left_out), [&](const PhysicsIqPair& pair, const PhysicsIqResult& result) {
        if (!result.view) {
          left_out.push_back({pair.generated, result.reason});
          return;
        }
        views.push_back(*result.view);
        list.push_back(Json::object({{"view", pair.view},
                                     {"file", pair.generated},
                                     {"model", metrics_json(views.back().model)},
                                     {"variance", metrics_json(views.back().variance)}}));
        if (!common.json) {
          const PhysicsIqMetrics& m = views.back().model;
          std::printf("%-48s spatial %.3f  spatiotemporal %.3f  weighted %.3f  MSE %.5f\n", pair.view.c_str(),
                      m.spatial_iou, m.spatiotemporal_iou, m.weighted_spatial_iou, m.mse);
        }
      });
  ORRERY_CHECK(!views.empty(), "[score physics-iq] no scenario has two real takes and a generated video",
               left_out.empty() ? std::string() : "; first left out: " + left_out[0].file + ": " + left_out[0].reason);
  const double original = physics_iq_score(views), verified = physics_iq_verified_score(views);
  if (common.json) {
    print_json(Json::object({{"score", rounded_number(original)},
                             {"verified", rounded_number(verified)},
                             {"views", list},
                             {"left_out", left_out_json(left_out)}}));
    return;
  }
  std::printf("Physics-IQ %.2f, verified %.2f, over %zu views\n", original, verified, views.size());
  print_left_out(left_out);
}

}  // namespace

void add_score_fvd(CLI::App& score, CommonOptions& common) {
  CLI::App* command = score.add_subcommand("fvd", "How far a set of videos is from a set of real ones");
  auto arguments = std::make_shared<FvdArguments>();
  command->add_option("--real", arguments->real, "Real videos, folders of them, or features (.safetensors)")
      ->required();
  command->add_option("--generated", arguments->generated, "Generated ones")->required();
  command
      ->add_option("--features", arguments->making.features,
                   "What describes a clip: builtin, builtin:FOLDER, handmade, motion, fvmd:fixed, fvmd:compat, "
                   "i3d:FILE, onnx:FILE")
      ->check([](const std::string& name) {
        return is_feature_name(name)
                   ? std::string()
                   : "expected builtin, builtin:FOLDER, handmade, motion, fvmd:fixed, fvmd:compat, i3d:FILE or "
                     "onnx:FILE";
      })
      ->capture_default_str();
  command->add_option("--frames", arguments->making.frames, "Use the first so many frames of each clip (0: all)")
      ->capture_default_str();
  command->add_option("--protocol", arguments->making.protocol, "Prepare clips as this implementation does")
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
