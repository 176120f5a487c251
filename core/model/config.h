// The configuration of the transformer: DeepSeek-V4's fields under transformers' names (config.json), plus what video
// needs as extra keys. Attention and routing families are values here, each with one row in the tables of config.cc.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace orrery {

/// A layer's attention family (`layer_types`).
enum class AttentionKind {
  sliding,  ///< "sliding_attention": window only
  csa,      ///< "compressed_sparse_attention": window and the indexer's choice of entries
  hca,      ///< "heavily_compressed_attention": window and all entries
  mla,      ///< "latent_attention": V3's multi-head latent attention over all tokens
  dsa,      ///< "indexed_attention": the same over the tokens that V3.2's indexer chooses
};

/// A layer's routing family (`mlp_layer_types`).
enum class MlpKind {
  hash_moe,  ///< "hash_moe": experts by token id
  moe,       ///< "moe": top-k of sqrt-softplus scores with a balancing bias
  grouped,   ///< "sparse": V3's sigmoid scores with a balancing bias, top-k within the best groups
  dense,     ///< "dense": one SwiGLU of intermediate_size, no experts
};

/// One rotary table (`rope_parameters.main`, `.compress`).
struct RopeConfig {
  double theta = 10000;
  /// YaRN (Peng et al. 2023) when factor > 1; no mscale, as V4.
  double factor = 1;
  std::int64_t original_length = 65536;
  double beta_fast = 32, beta_slow = 1;
  double mscale = 0;  ///< V3: scores are multiplied by (0.1 · mscale · ln factor + 1)²; 0: by one
};

/// What the video layout adds (extra keys under "video").
struct VideoConfig {
  std::int64_t codes = 0;      ///< size of the codec's code book; 0: a text model
  std::int64_t grid_rows = 0;  ///< code cells a latent frame, top to bottom
  std::int64_t grid_columns = 0;
  std::int64_t trained_context = 0;  ///< tokens; older cache entries are dropped beyond it
  /// Adds a learned vector for a token's place in its latent frame to its embedding. Rotary positions alone must find
  /// the same cell of the frame before by its distance, which small heads (head_dim < 128) resolve slowly.
  bool place_embedding = false;
  /// Adds a learned vector for the token one latent frame before the *next* token: what stood at the place to be
  /// predicted. What stands still is then known without attention.
  bool recall_embedding = false;
  /// Levels of the codec's dimensions, fastest first: their product, with extra_levels, is `codes`. Not empty:
  /// code_digits.h.
  std::vector<std::int64_t> levels;
  /// Pairs of the rotary dims that turn with time, row and column of a video token (core/model/rope_axes.h), in all
  /// qk_rope_head_dim / 2; empty: all with its position.
  std::vector<std::int64_t> rope_axes;
  /// Levels of a code's further digits, which have no rows in the tables (code_digits.h, extra_head.h).
  std::vector<std::int64_t> extra_levels{};
  std::int64_t extra_width = 128;  ///< units a digit of their head
  double fps = 24;                 ///< frames a second that it was trained at

  /// Tokens of a latent frame: four of header, then the codes.
  std::int64_t group() const { return 4 + grid_rows * grid_columns; }
  /// Σ levels.
  std::int64_t digit_values() const { return std::accumulate(levels.begin(), levels.end(), std::int64_t{0}); }
  /// Σ extra_levels.
  std::int64_t extra_values() const {
    return std::accumulate(extra_levels.begin(), extra_levels.end(), std::int64_t{0});
  }
  /// Codes that share their first digits: the product of extra_levels.
  std::int64_t extra_codes() const;
  /// Units of the extra digits' head.
  std::int64_t extra_units() const { return static_cast<std::int64_t>(extra_levels.size()) * extra_width; }
};

struct ModelConfig {
  std::int64_t vocab_size = 129280;  ///< rows of the tables
  std::int64_t hidden_size = 4096;
  std::int64_t moe_intermediate_size = 2048;
  std::int64_t num_attention_heads = 64;
  std::int64_t head_dim = 512;
  std::int64_t qk_rope_head_dim = 64;
  std::int64_t q_lora_rank = 1024;
  std::int64_t o_groups = 8;
  std::int64_t o_lora_rank = 1024;
  std::int64_t sliding_window = 128;
  std::int64_t index_n_heads = 64;
  std::int64_t index_head_dim = 128;
  std::int64_t index_topk = 512;
  std::int64_t n_routed_experts = 256;
  std::int64_t n_shared_experts = 1;
  std::int64_t num_experts_per_tok = 6;
  // V3 and V3.2 only (latent attention, groups of experts, dense layers).
  std::int64_t kv_lora_rank = 512;
  std::int64_t qk_nope_head_dim = 128;
  std::int64_t v_head_dim = 128;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  std::int64_t intermediate_size = 18432;
  double routed_scaling_factor = 1.5;
  double swiglu_limit = 10;
  std::int64_t hc_mult = 4;  ///< streams of the hyper-connections; 0: plain residuals (V3)
  std::int64_t hc_sinkhorn_iters = 20;
  double hc_eps = 1e-6;
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;
  std::int64_t num_nextn_predict_layers = 1;
  std::int64_t max_position_embeddings = 1048576;
  std::int64_t bos_token_id = 0;
  std::int64_t eos_token_id = 1;
  std::vector<AttentionKind> layer_types;  ///< one a layer
  std::vector<MlpKind> mlp_layer_types;    ///< one a layer
  std::int64_t csa_rate = 4;
  std::int64_t hca_rate = 128;
  RopeConfig main_rope{};
  RopeConfig compress_rope{160000, 16, 65536, 32, 1};
  VideoConfig video;

  /// Keys are normed and queries too: their product is at most √head_dim · this. Small heads start with more, so that a
  /// softmax over a window can be sharp at all (V4's own heads of 512 need 1).
  float kv_norm_init() const { return head_dim >= 256 ? 1.0f : head_dim >= 64 ? 2.0f : 3.0f; }
  /// V3 or V3.2: their config.json has other fields.
  bool latent() const;
  std::int64_t num_hidden_layers() const { return static_cast<std::int64_t>(layer_types.size()); }
  /// Rows of the tables that are codes, the last ones: codes that differ in extra digits share one.
  std::int64_t table_codes() const { return video.codes / video.extra_codes(); }
  /// The first code's id and row; ids are 0 to ids() − 1.
  std::int64_t first_code() const { return vocab_size - table_codes(); }
  std::int64_t ids() const { return first_code() + video.codes; }
  /// The table's row of an id.
  std::int32_t table_row(std::int32_t id) const {
    const auto first = static_cast<std::int32_t>(first_code());
    return id < first ? id : first + (id - first) % static_cast<std::int32_t>(table_codes());
  }
  /// Tokens an entry stands for in a layer of this kind; 0 for window-only layers.
  std::int64_t compress_rate(AttentionKind kind) const;
  const RopeConfig& rope(AttentionKind kind) const {
    return kind == AttentionKind::csa || kind == AttentionKind::hca ? compress_rope : main_rope;
  }

  /// Throws InputError that names the field and the reason when the fields contradict each other.
  void validate() const;
};

/// Experts are chosen by scores, and balanced.
inline bool is_scored(MlpKind kind) { return kind == MlpKind::moe || kind == MlpKind::grouped; }

const char* name_of(AttentionKind kind);
const char* name_of(MlpKind kind);
AttentionKind attention_kind(const std::string& name);
MlpKind mlp_kind(const std::string& name);

/// Reads and writes config.json (transformers' names). Reading validates; unknown keys of other toolkits are ignored.
ModelConfig read_model_config(const std::string& path);
ModelConfig parse_model_config(const std::string& json_text, const std::string& source);
std::string to_json(const ModelConfig& config);

}  // namespace orrery
