#include "apps/pipeline/train_features.h"

#include "apps/pipeline/feature_source.h"
#include "core/autograd/autograd.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/io/fields.h"
#include "core/io/parameters_file.h"
#include "core/io/toml.h"
#include "core/ops/shape.h"
#include "core/train/trainer.h"

namespace orrery::pipeline {

namespace {

FeatureSourceOptions read_source(const Fields& fields, const EncoderConfig& encoder) {
  FeatureSourceOptions options;
  const Fields data = fields.object("data");
  options.seed = static_cast<std::uint64_t>(data.integer_or("seed", 1, {0, std::int64_t{1} << 53}));
  options.windows = data.integer_or("windows", options.windows, {1, 4096});
  options.fps = data.number_or("fps", options.fps, {1, 240});
  options.longest = static_cast<int>(data.integer_or("longest", options.longest, {1, 100000}));
  options.broken_share = data.number_or("broken_share", options.broken_share, {0, 1});
  options.spoilt_share = data.number_or("spoilt_share", options.spoilt_share, {0, 1});
  if (data.has("scenes")) options.scenes = data.texts("scenes");
  options.frames = encoder.frames, options.size = static_cast<int>(encoder.side);
  return options;
}

// The folder's encoder, once trained, over the clips that it was trained on.
void standardise_saved(const std::string& folder, const BatchSource& source) {
  VideoEncoder encoder = load_encoder(folder);
  const NoGrad guard;
  constexpr std::int64_t kClips = 1000;
  std::vector<Tensor> vectors;
  std::int64_t count = 0;
  for (std::uint64_t i = 0; count < kClips; ++i) {
    vectors.push_back(encoder.embed(clips_of(source.batch(i))));
    count += vectors.back().dim(0);
  }
  encoder.standardise(ops::concat(vectors, 0));
  save_encoder(encoder, folder);
}

}  // namespace

void train_features(const TrainOptions& options) {
  const Json toml = read_toml(options.config);
  const Fields fields(toml, options.config);
  const EncoderConfig config = parse_encoder_config(fields.raw("encoder").dump(), options.config + ": encoder");
  FeatureSourceOptions source = read_source(fields, config);
  TrainConfig train = read_train_config(fields);
  fields.refuse_unknown();
  train.max_seconds = options.max_seconds;

  Random random(source.seed, 0x656E636F);
  VideoEncoder encoder(config, random);
  if (!options.init.empty()) {
    const std::int64_t taken = load_matching(options.init + "/encoder.safetensors", encoder.parameters());
    log_info("started from " + std::to_string(taken) + " tensors of " + options.init);
  }
  EncoderTraining training(encoder, FeatureSource::targets(), random);
  move_to_device(training.parameters(), options.device);
  Trainer trainer(training, std::make_shared<FeatureSource>(source), train, options.out, options.ranks);
  FeatureSourceOptions held_out = source;
  held_out.seed = source.seed + 1'000'000;
  trainer.add_validation("held-out", std::make_shared<FeatureSource>(held_out));
  held_out.split = worlds::Split::out_of_distribution;
  trainer.add_validation("out-of-distribution", std::make_shared<FeatureSource>(held_out));
  trainer.run(options.stop);
  if (!options.ranks || options.ranks->rank() == 0) standardise_saved(options.out, FeatureSource(source));
}

}  // namespace orrery::pipeline
