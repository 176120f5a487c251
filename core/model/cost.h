// What a model costs by counting: parameters, bytes of the caches, operations a token, for any configuration and
// context, without making the model. DeepSeek-V4 report (arXiv 2606.19348), figure 1 and §2.3.
#pragma once

#include <string>
#include <vector>

#include "core/model/config.h"

namespace orrery {

/// How a cache stores a record and a lightning indexer's key.
enum class CacheFormat {
  published,  ///< FP8 with a scale byte every 64, the rope dims in BF16, padded to 8 bytes; index keys FP4, a scale
              ///< byte every 32
  decoder,    ///< f32, index keys bf16, as core/generate holds them
};

/// Layers of one attention family together. Operations are those of one token at the end of the context; a product's
/// multiplication and addition count as two.
struct KindCost {
  std::string kind;  ///< as in layer_types
  std::int64_t layers = 0;
  double cache_bytes = 0;
  double product_ops = 0;    ///< weights, experts included
  double attention_ops = 0;  ///< scores and sums over window and entries
  double indexer_ops = 0;    ///< the indexer's scores over all entries
};

struct ModelCost {
  double parameters = 0;         ///< without the multi-token-prediction block
  double mtp_parameters = 0;     ///< of that block
  double active_parameters = 0;  ///< that one token uses, head included, embedding left out
  double head_ops = 0;
  std::vector<KindCost> kinds;

  double cache_bytes() const;
  /// Operations a token in units of FP8: attention in BF16 counts twice, the indexer in FP4 half.
  double weighted_ops() const;
};

/// Counts at `context` tokens, all of them in the caches.
ModelCost count_cost(const ModelConfig& config, std::int64_t context, CacheFormat format);

/// The same model were every layer to attend to all tokens: its parameters, a record a token and layer, no indexer.
ModelCost dense_cost(const ModelConfig& config, std::int64_t context, CacheFormat format);

/// DeepSeek-V3.2: 61 layers, 37B active, DSA over 2048 tokens; 656 bytes a record and 132 an index key.
ModelCost v32_cost(std::int64_t context);

/// Bytes of a BF16 cache with 8 key-value heads of 128 dimensions, in as many layers.
double gqa8_cache_bytes(std::int64_t layers, std::int64_t context);

}  // namespace orrery
