#include "apps/pipeline/feature_set.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>

#include "apps/pipeline/shipped_folder.h"
#include "apps/pipeline/video_files.h"
#include "core/base/error.h"
#include "core/io/safetensors.h"
#include "video/io/reader.h"

namespace orrery {

namespace {

bool is_feature_file(const std::vector<std::string>& inputs) {
  return inputs.size() == 1 && std::filesystem::path(inputs[0]).extension() == ".safetensors";
}

// At most so many frames are read of a clip: longer ones are cut there anyway.
Clip read_first(const std::string& file, int frames) {
  if (frames <= 0) return read_video(file);
  VideoReader reader(file);
  Clip clip;
  clip.fps = reader.info().fps;
  for (Frame frame; static_cast<int>(clip.frames.size()) < frames && reader.next(frame);) clip.frames.push_back(frame);
  return clip;
}

bool all_finite(const std::vector<std::vector<double>>& features) {
  return std::all_of(features.begin(), features.end(), [](const auto& feature) {
    return std::all_of(feature.begin(), feature.end(), [](double value) { return std::isfinite(value); });
  });
}

// What a resampling costs grows with the cube of the values, or of the vectors where those are fewer.
int affordable_rounds(std::size_t vectors, std::size_t values) {
  const std::size_t order = std::min(vectors, values);
  return order > 600 ? 10 : order > 300 ? 50 : 1000;
}

}  // namespace

FeatureSet read_features(const std::string& path) {
  const Safetensors file = Safetensors::open(path);
  ORRERY_CHECK(file.entries().size() == 1, path, " has ", file.entries().size(), " tensors, expected one of features");
  const SafetensorsEntry& entry = file.entries()[0];
  ORRERY_CHECK(entry.shape.size() == 2 && entry.shape[0] > 0 && entry.shape[1] > 0 &&
                   (entry.dtype == FileDType::F32 || entry.dtype == FileDType::F64),
               path, ": the features are ", entry.describe(), ", expected F32 or F64 [clips, values]");
  const std::size_t n = static_cast<std::size_t>(entry.shape[0]), d = static_cast<std::size_t>(entry.shape[1]);
  FeatureSet out;
  out.features.assign(n, std::vector<double>(d));
  const auto said = [&](const char* key, const std::string& otherwise) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? otherwise : found->second;
  };
  out.made_with = said("made_with", ""), out.metric = said("metric", out.metric), out.title = said("title", out.title);
  out.clips = std::atoi(said("clips", "0").c_str());
  out.covariance_offset = std::atof(said("covariance_offset", "0").c_str());
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
  write_safetensors(path, std::span(&entry, 1),
                    {{"made_with", set.made_with},
                     {"metric", set.metric},
                     {"title", set.title},
                     {"clips", std::to_string(set.clips)},
                     {"covariance_offset", set.covariance_offset > 0 ? "1e-5" : "0"}});
}

FeatureSet features_of(const std::vector<std::string>& inputs, const FeatureOptions& options,
                       std::vector<LeftOut>& left_out) {
  if (is_feature_file(inputs)) return read_features(inputs[0]);
  const FvdProtocol& protocol = fvd_protocol(options.protocol);
  const std::string name =
      options.features == "builtin"
          ? "builtin:" + pipeline::shipped_folder("features-64", "encoder.safetensors", "name one by builtin:FOLDER")
          : options.features;
  const std::unique_ptr<FeatureExtractor> extractor = make_features(name, protocol);
  const int least = std::max({options.frames, extractor->least_frames(), protocol.least_frames});
  FeatureSet out;
  out.metric = extractor->metric(), out.title = extractor->title();
  out.covariance_offset = extractor->covariance_offset();
  out.made_with = extractor->name() + ", " +
                  (options.frames > 0 ? "first " + std::to_string(options.frames) + " frames" : "all frames");
  std::vector<std::vector<std::vector<double>>> clips;
  for (const std::string& file : gather_videos(inputs, left_out)) {
    try {
      const Clip clip = read_first(file, options.frames);
      ORRERY_CHECK(static_cast<int>(clip.frames.size()) >= least, file, " has ", clip.frames.size(),
                   " frames, expected at least ", least);
      std::vector<std::vector<double>> features = extractor->extract(clip.frames);
      ORRERY_CHECK(all_finite(features), file, ": its features are not finite (", extractor->name(), ")");
      clips.push_back(std::move(features));
    } catch (const InputError& error) {
      left_out.push_back({file, error.what()});
    }
  }
  ORRERY_CHECK(!clips.empty(), "[score fvd] no usable video among ", inputs[0],
               left_out.empty() ? std::string() : ": " + left_out.back().reason);
  // Its code drops what does not fill a batch of 16.
  if (options.protocol == "google-research" && clips.size() >= 16) clips.resize(clips.size() / 16 * 16);
  out.clips = static_cast<int>(clips.size());
  for (auto& clip : clips) out.features.insert(out.features.end(), clip.begin(), clip.end());
  return out;
}

SetFigures compare_sets(const FeatureSet& real, const FeatureSet& generated, int bootstrap, bool unbiased,
                        std::uint64_t seed) {
  const auto &a = real.features, &b = generated.features;
  ORRERY_CHECK(a[0].size() == b[0].size(), "[score fvd] features of ", a[0].size(), " and ", b[0].size(),
               " values cannot be compared");
  ORRERY_CHECK(real.made_with == generated.made_with, "[score fvd] the real set's features are \"", real.made_with,
               "\", the generated set's \"", generated.made_with, "\": they cannot be compared");
  const DistanceOptions frechet{SetDistance::frechet, unbiased, real.covariance_offset};
  SetFigures out;
  out.value = set_distance(a, b, frechet);
  out.jedi = jedi_distance(a, b);
  if (a.size() < 2 || b.size() < 2) return out;
  out.kernel = kernel_distance(a, b);
  const int rounds = std::min(bootstrap, affordable_rounds(a.size() + b.size(), a[0].size()));
  if (rounds < 2) return out;
  out.interval = bootstrap_interval(a, b, frechet, rounds, seed);
  out.kernel_interval = bootstrap_interval(a, b, {SetDistance::kernel, true, 0}, rounds, seed);
  return out;
}

}  // namespace orrery
