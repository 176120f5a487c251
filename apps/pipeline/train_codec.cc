#include "apps/pipeline/train_codec.h"

#include "apps/pipeline/codec_source.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/io/fields.h"
#include "core/io/parameters_file.h"
#include "core/io/toml.h"
#include "core/tensor/device.h"
#include "core/train/trainer.h"
#include "kernels/api/device_memory.h"

namespace orrery::pipeline {

namespace {

CodecSourceOptions read_source(const Fields& fields, const CodecConfig& codec) {
  CodecSourceOptions options;
  const Fields data = fields.object("data");
  options.seed = static_cast<std::uint64_t>(data.integer_or("seed", 1, {0, std::int64_t{1} << 53}));
  options.windows = data.integer_or("windows", options.windows, {1, 4096});
  options.latents = data.integer_or("latents", options.latents, {1, 256});
  options.size = static_cast<int>(data.integer_or("size", options.size, {16, 1024}));
  options.fps = data.number_or("fps", options.fps, {1, 240});
  options.longest = static_cast<int>(data.integer_or("longest", options.longest, {1, 100000}));
  options.action_share = data.number_or("action_share", options.action_share, {0, 1});
  if (data.has("scenes")) options.scenes = data.texts("scenes");
  options.smooth_backgrounds = data.boolean_or("smooth_backgrounds", false);
  options.window.motion_weight = data.number_or("motion_weight", options.window.motion_weight, {0, 1000});
  options.window.edge_weight = data.number_or("edge_weight", options.window.edge_weight, {0, 1000});
  options.window.time_factor = codec.time_factor;
  return options;
}

}  // namespace

void move_to_device(const ParameterList& parameters, const std::string& name) {
  const Device device = device_from_name(name);
  if (device == Device::cpu) return;
  log_info("training on " + device_memory(device).description);
  parameters.move_to(device);
  set_thread_count(1);
}

void train_codec(const TrainOptions& options) {
  const Json toml = read_toml(options.config);
  const Fields fields(toml, options.config);
  const CodecConfig config = parse_codec_config(fields.raw("codec").dump(), options.config + ": codec");
  CodecSourceOptions source = read_source(fields, config);
  TrainConfig train = read_train_config(fields);
  const bool bf16 = fields.object("train").choice_or("compute", {"f32", "bf16"}, "bf16") == "bf16";
  const bool decoder_only = fields.object("train").boolean_or("decoder_only", false),
             extra_only = fields.object("train").boolean_or("extra_only", false);
  const double extra_dropout = fields.object("train").number_or("extra_dropout", 0, {0, 1});
  fields.refuse_unknown();
  ORRERY_CHECK((!decoder_only && !extra_only) || !options.init.empty(), options.config,
               ": train.decoder_only and extra_only need a trained encoder: name its folder with --init");
  ORRERY_CHECK(!extra_only || !config.extra_levels.empty(), options.config,
               ": train.extra_only without codec.extra_levels");
  train.max_seconds = options.max_seconds;

  Random random(source.seed, 0x636F646563);
  LatentCodec codec(config, random);
  if (!options.init.empty()) {
    const std::int64_t taken = load_matching(options.init + "/codec.safetensors", codec.parameters());
    log_info("started from " + std::to_string(taken) + " tensors of " + options.init);
  }
  codec.compute = bf16 ? DType::bf16 : DType::f32;
  move_to_device(codec.parameters(), options.device);
  using Frozen = CodecTraining::Frozen;
  CodecTraining training(codec,
                         decoder_only ? Frozen::encoder
                         : extra_only ? Frozen::encoder_but_extra
                                      : Frozen::nothing,
                         extra_dropout);
  Trainer trainer(training, std::make_shared<CodecSource>(source), train, options.out, options.ranks);
  CodecSourceOptions held_out = source;
  held_out.seed = source.seed + 1'000'000;
  trainer.add_validation("held-out", std::make_shared<CodecSource>(held_out));
  held_out.split = worlds::Split::out_of_distribution;
  trainer.add_validation("out-of-distribution", std::make_shared<CodecSource>(held_out));
  trainer.run(options.stop);
}

}  // namespace orrery::pipeline
