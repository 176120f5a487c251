#include "apps/orrery/model_cost.h"

#include <cstdio>

#include "core/base/error.h"
#include "core/io/json.h"
#include "core/model/cost.h"

namespace orrery::cli {

namespace {

// "13.1 B", "49.0 MiB": three digits and a prefix.
std::string scaled(double value, double base, std::initializer_list<const char*> prefixes) {
  if (value == 0) return "-";
  auto prefix = prefixes.begin();
  for (; value >= base && prefix + 1 != prefixes.end(); ++prefix) value /= base;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, *prefix);
  return text;
}
std::string bytes(double value) { return scaled(value, 1024, {"B", "KiB", "MiB", "GiB", "TiB"}); }
std::string count(double value) { return scaled(value, 1000, {"", "K", "M", "B", "T"}); }
std::string ops(double value) { return scaled(value, 1000, {"", "K", "M", "G", "T", "P"}); }

struct Costs {
  ModelCost model, dense, v32;
  double gqa8_bytes, decoder_bytes;
};

Json to_json(const ModelCost& cost) {
  Json kinds = Json::array();
  for (const KindCost& row : cost.kinds)
    kinds.push_back(Json::object({{"kind", row.kind},
                                  {"layers", row.layers},
                                  {"cache_bytes", row.cache_bytes},
                                  {"product_ops", row.product_ops},
                                  {"attention_ops", row.attention_ops},
                                  {"indexer_ops", row.indexer_ops}}));
  return Json::object({{"parameters", cost.parameters},
                       {"mtp_parameters", cost.mtp_parameters},
                       {"active_parameters", cost.active_parameters},
                       {"head_ops", cost.head_ops},
                       {"cache_bytes", cost.cache_bytes()},
                       {"weighted_ops", cost.weighted_ops()},
                       {"kinds", kinds}});
}

void print_table(const Costs& costs, std::int64_t context) {
  const ModelCost& model = costs.model;
  std::printf("parameters %s, %s of them active a token", count(model.parameters).c_str(),
              count(model.active_parameters).c_str());
  if (model.mtp_parameters > 0)
    std::printf("; %s more in the multi-token-prediction block", count(model.mtp_parameters).c_str());
  std::printf("\ncontext    %lld tokens\n\n", static_cast<long long>(context));
  std::printf("%-30s %6s %10s  %s\n", "", "layers", "cache", "operations a token: products, attention, indexer");
  for (const KindCost& row : model.kinds)
    std::printf("%-30s %6lld %10s  %10s %10s %10s\n", row.kind.c_str(), static_cast<long long>(row.layers),
                bytes(row.cache_bytes).c_str(), ops(row.product_ops).c_str(), ops(row.attention_ops).c_str(),
                ops(row.indexer_ops).c_str());
  std::printf("%-30s %6s %10s  %10s\n", "head", "", "", ops(model.head_ops).c_str());
  std::printf("%-30s %6s %10s  %10s in FP8 units (BF16 attention twice, FP4 indexer half)\n\n", "all", "",
              bytes(model.cache_bytes()).c_str(), ops(model.weighted_ops()).c_str());
  std::printf("cache in the published formats (FP8, rope dims BF16, index keys FP4); here (f32, index keys BF16): %s\n",
              bytes(costs.decoder_bytes).c_str());
  const auto against = [&](const char* name, const ModelCost& other) {
    std::printf("against %-46s cache %5.1f%% of %s, operations %5.1f%% of %s\n", name,
                100 * model.cache_bytes() / other.cache_bytes(), bytes(other.cache_bytes()).c_str(),
                100 * model.weighted_ops() / other.weighted_ops(), ops(other.weighted_ops()).c_str());
  };
  against("the same model, every layer attending to all", costs.dense);
  against("DeepSeek-V3.2", costs.v32);
  std::printf("against %-46s cache %5.1f%% of %s\n", "BF16, 8 key-value heads of 128, as many layers",
              100 * model.cache_bytes() / costs.gqa8_bytes, bytes(costs.gqa8_bytes).c_str());
}

}  // namespace

void print_model_cost(const std::string& config_path, std::int64_t context, bool json) {
  const ModelConfig config = read_model_config(config_path);
  if (context == 0) context = config.max_position_embeddings;
  ORRERY_CHECK(context >= 1 && context <= config.max_position_embeddings, "--context is ", context,
               ", expected 1 to the configuration's max_position_embeddings = ", config.max_position_embeddings);
  Costs costs{count_cost(config, context, CacheFormat::published), dense_cost(config, context, CacheFormat::published),
              v32_cost(context), gqa8_cache_bytes(config.num_hidden_layers(), context),
              count_cost(config, context, CacheFormat::decoder).cache_bytes()};
  if (!json) return print_table(costs, context);
  Json result = to_json(costs.model);
  result.set("context", context);
  result.set("decoder_cache_bytes", costs.decoder_bytes);
  result.set("gqa8_cache_bytes", costs.gqa8_bytes);
  result.set("dense", to_json(costs.dense));
  result.set("deepseek_v32", to_json(costs.v32));
  std::printf("%s\n", result.dump().c_str());
}

}  // namespace orrery::cli
