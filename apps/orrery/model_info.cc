#include "apps/orrery/model_info.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "apps/pipeline/loaded_model.h"
#include "core/io/json.h"
#include "core/model/cost.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;

// "8·8·5·5·5"
std::string product_of(const std::vector<std::int64_t>& levels) {
  std::string text;
  for (const std::int64_t level : levels) text += (text.empty() ? "" : "·") + std::to_string(level);
  return text;
}

// Seconds of video in the context beside a sentence of one group.
double context_seconds(const pipeline::LoadedModel& model) {
  const std::int64_t latents = model.context_groups() - 1;
  return static_cast<double>(decoded_frames(model.codec().config(), latents)) / model.fps();
}

Json describe(const pipeline::LoadedModel& model, const ModelCost& cost) {
  const ModelConfig& config = model.config();
  const CodecConfig& codec = model.codec().config();
  const fs::path folder(model.folder()), card = folder / "README.md";
  std::uintmax_t bytes = 0;
  for (const char* name : {"model.safetensors", "codec.safetensors"}) bytes += fs::file_size(folder / name);
  Json layers = Json::array();
  for (const KindCost& kind : cost.kinds)
    layers.push_back(Json::object({{"kind", kind.kind}, {"layers", kind.layers}}));
  return Json::object(
      {{"model", model.name()},
       {"folder", model.folder()},
       {"sha256", model.sha256()},
       {"bytes", static_cast<std::int64_t>(bytes)},
       {"parameters", cost.parameters},
       {"active_parameters", cost.active_parameters},
       {"width", config.hidden_size},
       {"layers", layers},
       {"experts", config.n_routed_experts},
       {"experts_per_token", config.num_experts_per_tok},
       {"codec", Json::object({{"time_factor", codec.time_factor},
                               {"space_factor", codec.space_factor},
                               {"levels", codec.all_levels()}})},
       {"video", Json::object({{"width", model.width()}, {"height", model.height()}, {"fps", model.fps()}})},
       {"context_tokens", model.context_groups() * model.layout().group()},
       {"context_seconds", context_seconds(model)},
       {"card", fs::exists(card) ? Json(card.string()) : Json()}});
}

void print_lines(const Json& model, const pipeline::LoadedModel& loaded, const ModelCost& cost) {
  const ModelConfig& config = loaded.config();
  const CodecConfig& codec = loaded.codec().config();
  std::printf("model       %s, %.1f MB, SHA-256 %.16s…\n", loaded.folder().c_str(),
              static_cast<double>(model.find("bytes")->as_integer()) / 1e6, loaded.sha256().c_str());
  std::printf("transformer %.1f M parameters, %.1f M of them active a token; width %lld, %lld experts, %lld a token\n",
              cost.parameters / 1e6, cost.active_parameters / 1e6, static_cast<long long>(config.hidden_size),
              static_cast<long long>(config.n_routed_experts), static_cast<long long>(config.num_experts_per_tok));
  for (const KindCost& kind : cost.kinds)
    std::printf("            %lld × %s\n", static_cast<long long>(kind.layers), kind.kind.c_str());
  std::printf("codec       %lld frames × %lld×%lld pixels a code, levels %s\n",
              static_cast<long long>(codec.time_factor), static_cast<long long>(codec.space_factor),
              static_cast<long long>(codec.space_factor), product_of(codec.all_levels()).c_str());
  std::printf("video       %dx%d, %.6g fps; context %lld tokens, %.2g s beside a sentence\n", loaded.width(),
              loaded.height(), loaded.fps(), static_cast<long long>(model.find("context_tokens")->as_integer()),
              context_seconds(loaded));
  if (const Json* card = model.find("card"); card->is_string())
    std::printf("card        %s\n", card->as_string().c_str());
}

}  // namespace

void print_model_info(const std::string& folder, bool json) {
  const pipeline::LoadedModel model(folder);
  const ModelCost cost =
      count_cost(model.config(), model.context_groups() * model.layout().group(), CacheFormat::decoder);
  const Json found = describe(model, cost);
  json ? static_cast<void>(std::printf("%s\n", found.dump().c_str())) : print_lines(found, model, cost);
}

}  // namespace orrery::cli
