// A codec on disk: codec.json and codec.safetensors in a model's folder.
#include <filesystem>
#include <string_view>

#include "core/base/random.h"
#include "core/io/fields.h"
#include "core/io/files.h"
#include "core/io/parameters_file.h"
#include "video/latent/codec.h"

namespace orrery {

namespace {

struct IntegerField {
  const char* name;
  std::int64_t CodecConfig::*member;
};
constexpr IntegerField kFields[] = {
    {"time_factor", &CodecConfig::time_factor},
    {"space_factor", &CodecConfig::space_factor},
    {"width", &CodecConfig::width},
    {"fine_width", &CodecConfig::fine_width},
    {"encoder_blocks", &CodecConfig::encoder_blocks},
    {"encoder_kernel", &CodecConfig::encoder_kernel},
    {"decoder_blocks", &CodecConfig::decoder_blocks},
    {"fine_blocks", &CodecConfig::fine_blocks},
    {"detail_width", &CodecConfig::detail_width},
    {"history", &CodecConfig::history},
    {"extra_width", &CodecConfig::extra_width},
    {"extra_blocks", &CodecConfig::extra_blocks},
};

}  // namespace

void CodecConfig::validate() const {
  ORRERY_CHECK(time_factor == 1 || time_factor == 4, "[codec] time_factor is ", time_factor, ", expected 1 or 4");
  ORRERY_CHECK(space_factor == 8 || space_factor == 16, "[codec] space_factor is ", space_factor, ", expected 8 or 16");
  ORRERY_CHECK(encoder_kernel == 1 || encoder_kernel == 3, "[codec] encoder_kernel is ", encoder_kernel,
               ", expected 1 or 3");
  ORRERY_CHECK(width >= 1 && fine_width >= 1, "[codec] width is ", width, " and fine_width ", fine_width,
               ", expected at least 1");
  ORRERY_CHECK(encoder_blocks >= 0 && decoder_blocks >= 0 && fine_blocks >= 0 && detail_width >= 0 && history >= 0 &&
                   history <= 16,
               "[codec] encoder_blocks, decoder_blocks, fine_blocks, detail_width or history is out of range");
  ORRERY_CHECK(!levels.empty() && levels.size() + extra_levels.size() <= 16, "[codec] levels and extra_levels have ",
               levels.size(), " and ", extra_levels.size(), " entries, expected 1 to 16 together");
  ORRERY_CHECK(extra_width >= 1 && extra_blocks >= 1, "[codec] extra_width is ", extra_width, " and extra_blocks ",
               extra_blocks, ", expected at least 1");
  std::int64_t made = 1;
  for (const std::int64_t level : all_levels()) {
    ORRERY_CHECK(level >= 2 && level <= 4096, "[codec] a level is ", level, ", expected 2 to 4096");
    made *= level;
    ORRERY_CHECK(made <= (1 << 30), "[codec] levels make ", made, " codes or more, expected at most 2^30");
  }
}

CodecConfig parse_codec_config(const std::string& json_text, const std::string& source) {
  const Json json = Json::parse(json_text, source);
  const Fields fields(json, source);
  CodecConfig config;
  for (const IntegerField& field : kFields) config.*field.member = fields.integer_or(field.name, config.*field.member);
  if (fields.has("levels")) config.levels = fields.integers("levels");
  if (fields.has("extra_levels")) config.extra_levels = fields.integers("extra_levels");
  fields.refuse_unknown();
  config.validate();
  return config;
}

std::string to_json(const CodecConfig& config) {
  Json json = Json::object();
  for (const IntegerField& field : kFields)
    if (!config.extra_levels.empty() || !std::string_view(field.name).starts_with("extra_"))
      json.set(field.name, config.*field.member);
  json.set("levels", Json(config.levels));
  if (!config.extra_levels.empty()) json.set("extra_levels", Json(config.extra_levels));
  return json.dump(2) + "\n";
}

void save_codec(const LatentCodec& codec, const std::string& folder) {
  const std::filesystem::path path(folder);
  write_file(path / "codec.json", to_json(codec.config()));
  save_parameters((path / "codec.safetensors").string(), codec.parameters(), StoredAs::bf16);
}

LatentCodec load_codec(const std::string& folder) {
  const std::filesystem::path path(folder);
  const std::string config_path = (path / "codec.json").string();
  Random unused(0);
  LatentCodec codec(parse_codec_config(read_file(config_path), config_path), unused);
  load_parameters((path / "codec.safetensors").string(), codec.parameters());
  return codec;
}

}  // namespace orrery
