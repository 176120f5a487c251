#include "apps/pipeline/train_model.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include "apps/pipeline/sequence_source.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/io/fields.h"
#include "core/io/toml.h"
#include "core/text/words.h"
#include "core/train/language_training.h"
#include "core/train/trainer.h"

namespace orrery::pipeline {

namespace {

SequenceSourceOptions read_source(const Fields& fields) {
  SequenceSourceOptions options;
  const Fields data = fields.object("data");
  options.seed = static_cast<std::uint64_t>(data.integer_or("seed", 1, {0, std::int64_t{1} << 53}));
  options.sequences = data.integer_or("sequences", options.sequences, {1, 4096});
  options.latents = data.integer_or("latents", options.latents, {2, 4096});
  options.size = static_cast<int>(data.integer_or("size", options.size, {16, 1024}));
  options.fps = data.number_or("fps", options.fps, {1, 240});
  options.longest = static_cast<int>(data.integer_or("longest", options.longest, {1, 100000}));
  options.from_start = data.number_or("from_start", options.from_start, {0, 1});
  options.action_share = data.number_or("action_share", options.action_share, {0, 1});
  options.caption_dropout = data.number_or("caption_dropout", options.caption_dropout, {0, 1});
  options.describe_share = data.number_or("describe_share", options.describe_share, {0, 1});
  options.corruption = data.number_or("corruption", options.corruption, {0, 1});
  options.corruption_near = data.number_or("corruption_near", options.corruption_near, {0, 1});
  options.still_weight = data.number_or("still_weight", options.still_weight, {0, 1});
  options.opening_share = data.number_or("opening_share", options.opening_share, {0, 1});
  options.opening_latents = data.integer_or("opening_latents", options.opening_latents, {2, options.latents});
  options.middle_share = data.number_or("middle_share", options.middle_share, {0, 1});
  options.middle_latents =
      data.integer_or("middle_latents", std::min<std::int64_t>(12, options.latents), {2, options.latents});
  if (data.has("scenes")) options.scenes = data.texts("scenes");
  options.smooth_backgrounds = data.boolean_or("smooth_backgrounds", false);
  return options;
}

LanguageTrainingConfig read_language(const Fields& train) {
  LanguageTrainingConfig config;
  config.compute = train.choice_or("compute", {"f32", "bf16"}, "bf16") == "bf16" ? DType::bf16 : DType::f32;
  config.indexer = train.choice_or("indexer", {"kl", "straight_through"}, "kl") == "kl"
                       ? IndexerTraining::sparse
                       : IndexerTraining::straight_through;
  config.indexer_weight = train.number_or("indexer_weight", config.indexer_weight, {0, 1000});
  config.indexer_warmup = train.integer_or("indexer_warmup", config.indexer_warmup, {0, 1'000'000'000});
  config.mtp_weight = train.number_or("mtp_weight", config.mtp_weight, {0, 10});
  config.balance_weight = train.number_or("balance_weight", config.balance_weight, {0, 10});
  config.bias_rate = train.number_or("bias_rate", config.bias_rate, {0, 1});
  config.checkpoint = train.boolean_or("checkpoint", false);
  config.own_draws = train.number_or("own_draws", config.own_draws, {0, 1});
  return config;
}

// Tokenizer and words come with the folder once they are made: a resumed run keeps them.
void prepare_folder(const TrainOptions& options, const SequenceSourceOptions& source, const std::string& codec_folder,
                    const LatentCodec& codec, std::int64_t text_tokens) {
  const std::filesystem::path out(options.out);
  std::filesystem::create_directories(out);
  for (const char* name : {"codec.json", "codec.safetensors"})
    std::filesystem::copy_file(std::filesystem::path(codec_folder) / name, out / name,
                               std::filesystem::copy_options::overwrite_existing);
  KnownWords words;
  worlds::SampleOptions sample;
  sample.scenes = source.scenes;
  constexpr std::uint64_t kCaptions = 20000;
  for (std::uint64_t i = 0; i < kCaptions; ++i)
    words.add(worlds::World(worlds::sample_spec(source.seed, i, sample)).caption());
  words.write(out / "words.txt");
  if (std::filesystem::exists(out / "tokenizer.json")) return;
  const auto cells = static_cast<std::int32_t>(source.size / codec.config().space_factor);
  const Tokenizer tokenizer = train_caption_tokenizer(
      source, text_tokens, kCaptions, {cells, cells, static_cast<std::int32_t>(codec.config().codes())});
  tokenizer.write(out / "tokenizer.json");
}

}  // namespace

void train_model(const TrainOptions& options) {
  const Json toml = read_toml(options.config);
  const Fields fields(toml, options.config);
  SequenceSourceOptions source = read_source(fields);
  TrainConfig train = read_train_config(fields);
  const LanguageTrainingConfig language = read_language(fields.object("train"));
  const std::string codec_folder = fields.text("codec_folder");
  const std::int64_t text_tokens = fields.integer_or("text_tokens", 512, {300, 100000});
  const bool place_embedding = fields.boolean_or("place_embedding", true),
             recall_embedding = fields.boolean_or("recall_embedding", true),
             digits = fields.boolean_or("code_digits", true);
  const std::int64_t extra_width = fields.integer_or("extra_width", 128, {1, 1 << 16});
  std::vector<std::int64_t> rope_axes;
  if (fields.has("rope_axes")) rope_axes = fields.integers("rope_axes", {0, 1 << 16});
  Json model_json = fields.raw("model");
  fields.refuse_unknown();
  train.max_seconds = options.max_seconds;

  const auto codec = std::make_shared<LatentCodec>(load_codec(codec_folder));
  if (!options.ranks || options.ranks->rank() == 0) prepare_folder(options, source, codec_folder, *codec, text_tokens);
  if (options.ranks) {  // the others wait until the folder is ready
    float ready = 1;
    options.ranks->sum(std::span(&ready, 1));
  }
  const Tokenizer tokenizer = Tokenizer::read(options.out);
  const SequenceLayout layout(VideoVocabulary::from(tokenizer, static_cast<std::int32_t>(codec->config().codes())));
  const VideoVocabulary& vocabulary = layout.vocabulary();
  const auto& sizes = vocabulary.sizes();
  std::int64_t table_codes = 1;
  for (const std::int64_t level : codec->config().levels) table_codes *= level;
  model_json.set("vocab_size", vocabulary.first_code() + table_codes);
  model_json.set("bos_token_id", vocabulary.mark(Mark::bos));
  model_json.set("eos_token_id", layout.text_end());
  const std::int64_t context = (1 + source.latents) * layout.group();
  model_json.set("video", Json::object({{"codes", std::int64_t{sizes.codes}},
                                        {"grid_rows", std::int64_t{sizes.rows}},
                                        {"grid_columns", std::int64_t{sizes.columns}},
                                        {"trained_context", context},
                                        {"fps", source.fps},
                                        {"place_embedding", place_embedding},
                                        {"recall_embedding", recall_embedding},
                                        {"extra_levels", codec->config().extra_levels},
                                        {"extra_width", extra_width},
                                        {"rope_axes", rope_axes},
                                        {"levels", digits ? codec->config().levels : std::vector<std::int64_t>()}}));
  const ModelConfig config = parse_model_config(model_json.dump(), options.config + ": model");

  Random random(source.seed, 0x6D6F64656C);
  Transformer model(config, random);
  if (!options.init.empty()) {
    const std::int64_t taken = load_matching(options.init + "/model.safetensors", model.parameters());
    log_info("started from " + std::to_string(taken) + " tensors of " + options.init);
  }
  move_to_device(model.parameters(), options.device);
  LanguageTraining training(model, language);
  Trainer trainer(training, std::make_shared<SequenceSource>(source, codec, tokenizer, layout), train, options.out,
                  options.ranks);
  SequenceSourceOptions held_out = source;
  held_out.seed = source.seed + 1'000'000;
  held_out.corruption = 0;
  held_out.opening_share = held_out.middle_share = 0;
  trainer.add_validation("held-out", std::make_shared<SequenceSource>(held_out, codec, tokenizer, layout));
  held_out.split = worlds::Split::out_of_distribution;
  trainer.add_validation("out-of-distribution", std::make_shared<SequenceSource>(held_out, codec, tokenizer, layout));
  trainer.run(options.stop);
}

}  // namespace orrery::pipeline
