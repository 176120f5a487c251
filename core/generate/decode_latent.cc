// V3's latent attention and V3.2's over the chosen tokens, token by token (DeepSeek-V3, arXiv 2412.19437, §2.1.1). The
// cache is one row [kv_lora | rope] a token. The up-projection is absorbed: q·(W_k c) = (W_kᵀ q)·c, and values come out
// of the weighted sum of rows, so that attention is over the rows themselves, with one key head.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/parallel.h"
#include "core/generate/packed.h"
#include "core/model/layers.h"
#include "core/ops/backends.h"
#include "kernels/api/decode.h"

namespace orrery {

namespace {

// The first `rope` values, of which i turns with i + rope / 2, to the end, as interleaved pairs (core/model's
// half_split_to_pairs).
void half_split_to_pairs(float* x, std::int64_t dim, std::int64_t rope) {
  const Floats first(x, x + rope);
  std::copy(x + rope, x + dim, x);
  for (std::int64_t i = 0; i < rope / 2; ++i) {
    x[dim - rope + 2 * i] = first[static_cast<std::size_t>(i)];
    x[dim - rope + 2 * i + 1] = first[static_cast<std::size_t>(rope / 2 + i)];
  }
}

// In place, rows of `dim` values.
void layer_norm_rows(float* x, std::int64_t rows, std::int64_t dim, const Floats& weight, const Floats& bias) {
  constexpr double kEps = 1e-6;
  for (std::int64_t r = 0; r < rows; ++r, x += dim) {
    double mean = 0, squares = 0;
    for (std::int64_t i = 0; i < dim; ++i) mean += double{x[i]} / static_cast<double>(dim);
    for (std::int64_t i = 0; i < dim; ++i) squares += (double{x[i]} - mean) * (double{x[i]} - mean);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(dim) + kEps);
    for (std::int64_t i = 0; i < dim; ++i)
      x[i] = static_cast<float>((double{x[i]} - mean) * inverse) * weight[static_cast<std::size_t>(i)] +
             bias[static_cast<std::size_t>(i)];
  }
}

// Columns [begin, begin + width) of head `head` out of x [T, heads, dim].
Floats head_columns(const Floats& x, std::int64_t tokens, std::int64_t heads, std::int64_t dim, std::int64_t head,
                    std::int64_t begin, std::int64_t width) {
  Floats part(static_cast<std::size_t>(tokens * width));
  for (std::int64_t t = 0; t < tokens; ++t)
    std::copy_n(x.data() + (t * heads + head) * dim + begin, width, part.data() + t * width);
  return part;
}

}  // namespace

// Queries of the rows' width: [T, heads, kv_lora + rope].
Floats Decoder::Packed::latent_queries(const decode::PackedLatent& latent, const Floats& q, std::int64_t tokens) const {
  const std::int64_t heads = config.num_attention_heads, nope = config.qk_nope_head_dim, rope = config.qk_rope_head_dim,
                     lora = config.kv_lora_rank, width = lora + rope;
  Floats absorbed(static_cast<std::size_t>(tokens * heads * width));
  for (std::int64_t i = 0; i < heads; ++i) {
    const Floats up = product(head_columns(q, tokens, heads, nope + rope, i, 0, nope),
                              latent.key_up[static_cast<std::size_t>(i)], tokens);
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* to = absorbed.data() + (t * heads + i) * width;
      std::copy_n(up.data() + t * lora, lora, to);
      std::copy_n(q.data() + (t * heads + i) * (nope + rope) + nope, rope, to + lora);
    }
  }
  return absorbed;
}

// One token against the rows that it sees, or chooses.
void Decoder::Packed::mix_latent(const Place& place, const Segment& segment, std::int64_t token, Queries& queries,
                                 Floats& mixed) const {
  const Clock clock(!queries.seconds.empty());
  const LayerCache& cache = place.cache(segment);
  const std::int64_t heads = config.num_attention_heads, width = config.kv_lora_rank + config.qk_rope_head_dim,
                     position = segment.position(token);
  std::vector<std::int32_t> seen;
  if (place.layer.kind == AttentionKind::dsa) {
    const std::int64_t index_heads = config.index_n_heads;
    seen = choose_entries(queries.index_q.data() + token * index_heads * config.index_head_dim,
                          queries.index_w.data() + token * index_heads, cache.indexer.keys, position + 1);
  } else {
    seen.resize(static_cast<std::size_t>(position + 1));
    std::iota(seen.begin(), seen.end(), 0);
  }
  const double indexed = clock.seconds();
  std::vector<const float*> rows;
  for (const std::int32_t s : seen) rows.push_back(cache.latents.data() + s * width);
  Floats scratch(static_cast<std::size_t>(heads) * rows.size());
  DecodeAttentionArgs args;
  args.q = queries.q.data() + token * heads * width;
  args.rows = rows.data();
  args.count = static_cast<std::int64_t>(rows.size());
  args.out = mixed.data() + token * heads * width;
  args.scratch = scratch.data();
  args.heads = heads;
  args.dim = width;
  args.scale = latent_scale(config);
  ops::run(args);
  if (queries.trace != nullptr) {
    std::vector<TokenTrace::Share>& shares = queries.trace[token].attended;
    for (const std::int32_t s : seen) shares.push_back({s, 1, 0});
    decode::add_shares(args, shares);
  }
  if (queries.seconds.empty()) return;
  queries.seconds[static_cast<std::size_t>(2 * token)] = indexed;
  queries.seconds[static_cast<std::size_t>(2 * token) + 1] = clock.seconds() - indexed;
}

// Rows and index keys of the chunk's tokens, into their sequences' caches.
void Decoder::Packed::keep_latents(const Place& place, const Floats& h, const Chunk& chunk) const {
  const decode::PackedLatent& latent = *place.layer.latent;
  const std::int64_t lora = config.kv_lora_rank, rope = config.qk_rope_head_dim, width = lora + rope,
                     dim = config.index_head_dim, tokens = chunk.tokens();
  const bool indexed = place.layer.kind == AttentionKind::dsa;
  Floats rows = product(h, latent.kv_a, tokens), keys;
  if (indexed) {
    keys = product(h, latent.index_k, tokens);
    layer_norm_rows(keys.data(), tokens, dim, latent.index_norm, latent.index_norm_bias);
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* turns = chunk.main_turns.data() + t * 2 * pairs();
    rms_norm_rows(rows.data() + t * width, 1, lora, latent.kv_a_norm.data(), config.rms_norm_eps);
    rotate(rows.data() + t * width, width, turns, pairs(), false);
    if (!indexed) continue;
    half_split_to_pairs(keys.data() + t * dim, dim, rope);
    rotate(keys.data() + t * dim, dim, turns, pairs(), false);
  }
  for (const Segment& segment : chunk.segments) {
    LayerCache& cache = place.cache(segment);
    cache.latents.insert(cache.latents.end(), rows.begin() + segment.begin * width, rows.begin() + segment.end * width);
    for (std::int64_t t = segment.begin; indexed && t < segment.end; ++t)
      cache.indexer.keys.add(std::span(keys).subspan(static_cast<std::size_t>(t * dim), static_cast<std::size_t>(dim)),
                             dtype);
  }
}

void Decoder::Packed::latent_attention(const Place& place, const Floats& h, const Chunk& chunk, Floats& out) const {
  const decode::PackedLayer& layer = place.layer;
  const decode::PackedLatent& latent = *layer.latent;
  const std::int64_t heads = config.num_attention_heads, nope = config.qk_nope_head_dim, rope = config.qk_rope_head_dim,
                     lora = config.kv_lora_rank, v_dim = config.v_head_dim, tokens = chunk.tokens();
  const std::int64_t index_heads = config.index_n_heads, index_dim = config.index_head_dim;
  const bool indexed = layer.kind == AttentionKind::dsa;
  Floats q_latent = product(h, layer.q_a, tokens);
  rms_norm_rows(q_latent.data(), tokens, config.q_lora_rank, layer.q_a_norm.data(), config.rms_norm_eps);
  Floats q = product(q_latent, layer.q_b, tokens);
  Queries queries;
  queries.turns = &chunk.main_turns;
  if (indexed) {
    queries.index_q = product(q_latent, layer.index_q, tokens);
    queries.index_w = product(h, layer.index_weights, tokens);
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* turns = queries.turns->data() + t * 2 * pairs();
    for (std::int64_t i = 0; i < heads; ++i)
      rotate(q.data() + (t * heads + i) * (nope + rope), nope + rope, turns, pairs(), false);
    for (std::int64_t i = 0; indexed && i < index_heads; ++i) {
      float* query = queries.index_q.data() + (t * index_heads + i) * index_dim;
      half_split_to_pairs(query, index_dim, rope);
      rotate(query, index_dim, turns, pairs(), false);
    }
  }
  queries.q = latent_queries(latent, q, tokens);
  keep_latents(place, h, chunk);

  Floats mixed(queries.q.size());
  mix_all(place, chunk, queries, mixed, &Packed::mix_latent);
  Floats values(static_cast<std::size_t>(tokens * heads * v_dim));
  for (std::int64_t i = 0; i < heads; ++i) {
    const Floats part = product(head_columns(mixed, tokens, heads, lora + rope, i, 0, lora),
                                latent.value_up[static_cast<std::size_t>(i)], tokens);
    for (std::int64_t t = 0; t < tokens; ++t)
      std::copy_n(part.data() + t * v_dim, v_dim, values.data() + (t * heads + i) * v_dim);
  }
  out = product(values, latent.o, tokens);
}

}  // namespace orrery
