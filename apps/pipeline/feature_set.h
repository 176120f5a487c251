// A set of videos as feature vectors, and how far two sets are from one another: what `orrery score fvd` prints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "physics_eval/fvd/features.h"
#include "physics_eval/fvd/frechet.h"
#include "physics_eval/report/score_json.h"

namespace orrery {

/// The vectors of a set, and how they were made: by us from videos, or as a file says; nothing known otherwise.
struct FeatureSet {
  std::vector<std::vector<double>> features;
  /// Clips that they are of; 0 where a file does not say.
  int clips = 0;
  /// Empty for files of others.
  std::string made_with;
  /// As FeatureExtractor has them; "frechet" for files of others.
  std::string metric = "frechet", title = "Frechet distance (features from files)";
  double covariance_offset = 0;
};

/// Features computed elsewhere, or kept by save_features(): a safetensors file with one F32 or F64 tensor [vectors,
/// values]. Throws InputError for another content and for values that are not finite.
FeatureSet read_features(const std::string& path);
void save_features(const std::string& path, const FeatureSet& set);

struct FeatureOptions {
  std::string features = "builtin", protocol = "orrery";
  /// Use the first so many frames of each clip; 0: all.
  int frames = 0;
};

/// The features of videos and of the folders' videos, or of one .safetensors file. A clip that cannot be read, or has
/// too few frames, goes to `left_out`. Throws InputError when nothing is left, naming the first reason.
FeatureSet features_of(const std::vector<std::string>& inputs, const FeatureOptions& options,
                       std::vector<LeftOut>& left_out);

/// All figures of one comparison.
struct SetFigures {
  double value = 0, jedi = 0;
  std::optional<double> kernel;
  std::optional<Interval> interval, kernel_interval;
};

/// Intervals by at most `bootstrap` resamplings, fewer where one takes long. Throws InputError for sets that were made
/// in different ways or have vectors of different lengths.
SetFigures compare_sets(const FeatureSet& real, const FeatureSet& generated, int bootstrap, bool unbiased,
                        std::uint64_t seed);

}  // namespace orrery
