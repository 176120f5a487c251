// The layers of core/model, token by token. A chunk, of one sequence or of several, goes through a layer together
// (weights are read once), but no value of a token depends on which others are in its chunk.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/parallel.h"
#include "core/generate/packed.h"
#include "core/ops/backends.h"
#include "kernels/api/decode.h"

namespace orrery {

LayerCache& Decoder::Packed::Place::cache(const Segment& segment) const {
  return at == kMtp ? segment.caches->mtp->layer : segment.caches->layers[at];
}

// h = Σ_m pre_m · x_m for every token; with post and comb the whole mHC, without them the head's form.
Floats Decoder::Packed::hyper_pre(const decode::PackedHyper& hyper, const Floats& state, std::int64_t tokens,
                                  Floats& pre, Floats* post, Floats* comb) const {
  const std::int64_t n = config.hc_mult, d = config.hidden_size, width = hyper.fn.rows();
  const auto eps = static_cast<float>(config.hc_eps);
  const Floats mix = product(state, hyper.fn, tokens);
  Floats h(static_cast<std::size_t>(tokens * d), 0.0f);
  pre.resize(static_cast<std::size_t>(tokens * n));
  if (post) post->resize(static_cast<std::size_t>(tokens * n));
  if (comb) comb->resize(static_cast<std::size_t>(tokens * n * n));
  const auto mix_token = [&](std::int64_t t) {
    const float* x = state.data() + t * n * d;
    const float* m = mix.data() + t * width;
    const float inverse = inverse_rms(x, n * d, config.rms_norm_eps);
    for (std::int64_t i = 0; i < n; ++i) {
      const float weight = sigmoid(m[i] * inverse * hyper.scale[0] + hyper.base[static_cast<std::size_t>(i)]) + eps;
      pre[static_cast<std::size_t>(t * n + i)] = weight;
      for (std::int64_t k = 0; k < d; ++k) h[static_cast<std::size_t>(t * d + k)] += weight * x[i * d + k];
    }
    if (!post) return;
    for (std::int64_t i = 0; i < n; ++i)
      (*post)[static_cast<std::size_t>(t * n + i)] =
          2 * sigmoid(m[n + i] * inverse * hyper.scale[1] + hyper.base[static_cast<std::size_t>(n + i)]);
    float* c = comb->data() + t * n * n;
    for (std::int64_t r = 0; r < n; ++r) {
      float top = -INFINITY, sum = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const std::int64_t at = 2 * n + r * n + k;
        c[r * n + k] = m[at] * inverse * hyper.scale[2] + hyper.base[static_cast<std::size_t>(at)];
        top = std::max(top, c[r * n + k]);
      }
      for (std::int64_t k = 0; k < n; ++k) sum += c[r * n + k] = std::exp(c[r * n + k] - top);
      for (std::int64_t k = 0; k < n; ++k) c[r * n + k] = c[r * n + k] / sum + eps;
    }
    for (std::int64_t round = 0; round < config.hc_sinkhorn_iters; ++round) {
      if (round > 0)
        for (std::int64_t r = 0; r < n; ++r) {
          const float sum = std::accumulate(c + r * n, c + (r + 1) * n, 0.0f) + eps;
          for (std::int64_t k = 0; k < n; ++k) c[r * n + k] /= sum;
        }
      for (std::int64_t k = 0; k < n; ++k) {
        float sum = eps;
        for (std::int64_t r = 0; r < n; ++r) sum += c[r * n + k];
        for (std::int64_t r = 0; r < n; ++r) c[r * n + k] /= sum;
      }
    }
  };
  parallel_for(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) mix_token(t);
  });
  return h;
}

void Decoder::Packed::hyper_post(Floats& state, const Floats& f, const Floats& post, const Floats& comb,
                                 std::int64_t tokens) const {
  const std::int64_t n = config.hc_mult, d = config.hidden_size;
  parallel_for(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
    Floats next(static_cast<std::size_t>(n * d));
    for (std::int64_t t = begin; t < end; ++t) {
      float* x = state.data() + t * n * d;
      for (std::int64_t k = 0; k < n; ++k) {
        const float gain = post[static_cast<std::size_t>(t * n + k)];
        for (std::int64_t i = 0; i < d; ++i)
          next[static_cast<std::size_t>(k * d + i)] = gain * f[static_cast<std::size_t>(t * d + i)];
        for (std::int64_t m = 0; m < n; ++m) {
          const float share = comb[static_cast<std::size_t>((t * n + m) * n + k)];
          for (std::int64_t i = 0; i < d; ++i) next[static_cast<std::size_t>(k * d + i)] += share * x[m * d + i];
        }
      }
      std::copy(next.begin(), next.end(), x);
    }
  });
}

void Decoder::Packed::compress(const decode::PackedCompressor& compressor, CompressorCache& cache, const Rows& rows,
                               std::int64_t rate, bool overlap) const {
  const std::int64_t channels = compressor.channels, dim = overlap ? channels / 2 : channels;
  const auto tokens = static_cast<std::int64_t>(rows.ids.size());
  if (cache.journal) cache.journal->add(rows.kv, rows.gate, tokens * channels);
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (cache.open_kv.empty()) cache.open_id = rows.ids[static_cast<std::size_t>(t)];
    cache.open_kv.insert(cache.open_kv.end(), rows.kv + t * channels, rows.kv + (t + 1) * channels);
    cache.open_gate.insert(cache.open_gate.end(), rows.gate + t * channels, rows.gate + (t + 1) * channels);
    if (static_cast<std::int64_t>(cache.open_kv.size()) < rate * channels) continue;
    Floats entry(static_cast<std::size_t>(dim));
    const std::int64_t current = overlap ? dim : 0;  // the channels that the window gives to its own entry
    for (std::int64_t c = 0; c < dim; ++c) {
      float top = -INFINITY, total = 0, sum = 0;
      const auto visit = [&](auto&& use) {
        if (overlap && !cache.prior_kv.empty())
          for (std::int64_t j = 0; j < rate; ++j)
            use(cache.prior_gate[static_cast<std::size_t>(j * channels + c)] +
                    compressor.bias[static_cast<std::size_t>(j * channels + c)],
                cache.prior_kv[static_cast<std::size_t>(j * channels + c)]);
        for (std::int64_t j = 0; j < rate; ++j) {
          const auto at = static_cast<std::size_t>(j * channels + current + c);
          use(cache.open_gate[at] + compressor.bias[at], cache.open_kv[at]);
        }
      };
      visit([&](float g, float) { top = std::max(top, g); });
      visit([&](float g, float v) {
        const float p = std::exp(g - top);
        total += p;
        sum += p * v;
      });
      entry[static_cast<std::size_t>(c)] = sum / total;
    }
    rms_norm_rows(entry.data(), 1, dim, compressor.norm.data(), config.rms_norm_eps);
    Floats turns;
    append_turns(turns, axes, compress_frequencies, cache.count * rate, cache.open_id);
    rotate(entry.data(), dim, turns.data(), pairs(), false);
    if (compressor.index) {
      cache.keys.add(entry, dtype);
    } else {
      cache.entries.insert(cache.entries.end(), entry.begin(), entry.end());
    }
    ++cache.count;
    if (overlap) {
      cache.prior_kv = cache.open_kv;
      cache.prior_gate = cache.open_gate;
    }
    cache.open_kv.clear();
    cache.open_gate.clear();
  }
}

std::vector<std::int32_t> Decoder::Packed::choose_entries(const float* q, const float* w, const IndexKeys& keys,
                                                          std::int64_t visible) const {
  const std::int64_t heads = config.index_n_heads, dim = config.index_head_dim;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim) * static_cast<double>(heads)));
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(std::min(config.index_topk, visible)));
  if (visible <= config.index_topk) {
    std::iota(chosen.begin(), chosen.end(), 0);
    return chosen;
  }
  Floats weights(w, w + heads);
  for (float& weight : weights) weight *= scale;
  DecodeIndexArgs args;
  args.q = q, args.w = weights.data();
  args.keys = keys.data(), args.scales = keys.scales(), args.dtype = keys.dtype();
  args.visible = visible, args.heads = heads, args.dim = dim, args.top = config.index_topk;
  args.chosen = chosen.data();
  ops::run(args);
  return chosen;
}

// The attention of one token to each of its rows, plainly: the fast kernels keep no shares.
void decode::add_shares(const DecodeAttentionArgs& args, std::vector<TokenTrace::Share>& shares) {
  std::vector<double> scores(shares.size());
  for (std::int64_t head = 0; head < args.heads; ++head) {
    const float* q = args.q + head * args.dim;
    const double sink = args.sinks != nullptr ? double{args.sinks[head]} : -INFINITY;
    double top = sink, total = 0;
    for (std::size_t r = 0; r < shares.size(); ++r) {
      scores[r] = 0;
      for (std::int64_t i = 0; i < args.dim; ++i) scores[r] += double{q[i]} * args.rows[r][i];
      scores[r] *= args.scale;
      top = std::max(top, scores[r]);
    }
    for (double& score : scores) total += score = std::exp(score - top);
    total += std::exp(sink - top);
    for (std::size_t r = 0; r < shares.size(); ++r)
      shares[r].weight += static_cast<float>(scores[r] / total / static_cast<double>(args.heads));
  }
}

// One token against the rows that it sees.
void Decoder::Packed::mix(const Place& place, const Segment& segment, std::int64_t token, Queries& queries,
                          Floats& mixed) const {
  const Clock clock(!queries.seconds.empty());
  const decode::PackedLayer& layer = place.layer;
  const LayerCache& cache = place.cache(segment);
  const std::int64_t heads = config.num_attention_heads, dim = config.head_dim, position = segment.position(token);
  const bool sliding = layer.kind == AttentionKind::sliding;
  // The position of the cache's first row; its last one is the segment's last token.
  const std::int64_t base = segment.position(segment.end) - static_cast<std::int64_t>(cache.window.size()) / dim;
  std::vector<const float*> rows;
  for (std::int64_t p = std::max(base, position - config.sliding_window + 1); p <= position; ++p)
    rows.push_back(cache.window.data() + (p - base) * dim);
  const std::int64_t window = static_cast<std::int64_t>(rows.size());
  const std::int64_t rate = sliding ? 0 : config.compress_rate(layer.kind),
                     visible = sliding ? 0 : (position + 1) / rate;
  std::vector<std::int32_t> entries;
  if (layer.kind == AttentionKind::csa) {
    const std::int64_t index_heads = config.index_n_heads;
    entries = choose_entries(queries.index_q.data() + token * index_heads * config.index_head_dim,
                             queries.index_w.data() + token * index_heads, cache.indexer.keys, visible);
  } else {
    entries.resize(static_cast<std::size_t>(visible));
    std::iota(entries.begin(), entries.end(), 0);
  }
  for (const std::int32_t e : entries) rows.push_back(cache.compressor.entries.data() + e * dim);
  const double indexed = clock.seconds();
  Floats scratch(static_cast<std::size_t>(heads) * rows.size());
  DecodeAttentionArgs args;
  args.q = queries.q.data() + token * heads * dim;
  args.rows = rows.data();
  args.count = static_cast<std::int64_t>(rows.size());
  args.sinks = layer.sinks.data();
  args.out = mixed.data() + token * heads * dim;
  args.scratch = scratch.data();
  args.heads = heads;
  args.dim = dim;
  args.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
  ops::run(args);
  if (queries.trace != nullptr) {
    std::vector<TokenTrace::Share>& shares = queries.trace[token].attended;
    for (std::int64_t i = 0; i < window; ++i) shares.push_back({position - window + 1 + i, 1, 0});
    const std::int64_t reach = layer.kind == AttentionKind::csa ? 2 : 1;  // CSA's windows overlap
    for (const std::int32_t e : entries) {
      const std::int64_t first = std::max<std::int64_t>(0, (e + 1 - reach) * rate);
      shares.push_back({first, (e + 1) * rate - first, 0});
    }
    decode::add_shares(args, shares);
  }
  for (std::int64_t head_index = 0; head_index < heads; ++head_index)
    rotate(args.out + head_index * dim, dim, queries.turns->data() + token * 2 * pairs(), pairs(), true);
  if (queries.seconds.empty()) return;
  queries.seconds[static_cast<std::size_t>(2 * token)] = indexed;
  queries.seconds[static_cast<std::size_t>(2 * token) + 1] = clock.seconds() - indexed;
}

// The heads' outputs through the grouped low-rank projection.
Floats Decoder::Packed::project(const decode::PackedLayer& layer, const Floats& mixed, std::int64_t tokens) const {
  const std::int64_t heads = config.num_attention_heads, dim = config.head_dim, groups = config.o_groups;
  const std::int64_t width = heads * dim / groups, rank = config.o_lora_rank;
  Floats low(static_cast<std::size_t>(tokens * groups * rank)), parts(mixed.size());
  Products products;
  for (std::int64_t g = 0; g < groups; ++g) {
    float* const part = parts.data() + g * tokens * width;
    for (std::int64_t t = 0; t < tokens; ++t)
      std::copy_n(mixed.data() + t * heads * dim + g * width, width, part + t * width);
    products.add(part, layer.o_a[static_cast<std::size_t>(g)], tokens, low.data() + g * rank, groups * rank);
  }
  products.run();
  return product(low, layer.o_b, tokens);
}

void Decoder::Packed::attention(const Place& place, const Floats& h, const Chunk& chunk, Floats& out) const {
  const decode::PackedLayer& layer = place.layer;
  if (layer.latent) return latent_attention(place, h, chunk, out);
  const std::int64_t heads = config.num_attention_heads, dim = config.head_dim, tokens = chunk.tokens();
  const std::int64_t index_heads = config.index_n_heads, index_dim = config.index_head_dim;
  const bool sliding = layer.kind == AttentionKind::sliding, csa = layer.kind == AttentionKind::csa;
  Queries queries;
  queries.turns = sliding ? &chunk.main_turns : &chunk.compress_turns;
  Floats q_latent, kv, entry_kv, entry_gate, key_kv, key_gate;
  Products products;
  products.add(h.data(), layer.q_a, tokens, q_latent);
  products.add(h.data(), layer.kv, tokens, kv);
  if (!sliding) {
    products.add(h.data(), layer.compressor.kv, tokens, entry_kv);
    products.add(h.data(), layer.compressor.gate, tokens, entry_gate);
  }
  if (csa) {
    products.add(h.data(), layer.index_compressor.kv, tokens, key_kv);
    products.add(h.data(), layer.index_compressor.gate, tokens, key_gate);
    products.add(h.data(), layer.index_weights, tokens, queries.index_w);
  }
  products.run();
  rms_norm_rows(q_latent.data(), tokens, config.q_lora_rank, layer.q_a_norm.data(), config.rms_norm_eps);
  products.add(q_latent.data(), layer.q_b, tokens, queries.q);
  if (csa) products.add(q_latent.data(), layer.index_q, tokens, queries.index_q);
  products.run();
  rms_norm_rows(queries.q.data(), tokens * heads, dim, nullptr, config.rms_norm_eps);
  rms_norm_rows(kv.data(), tokens, dim, layer.kv_norm.data(), config.rms_norm_eps);
  parallel_for(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* turns = queries.turns->data() + t * 2 * pairs();
      for (std::int64_t i = 0; i < heads; ++i)
        rotate(queries.q.data() + (t * heads + i) * dim, dim, turns, pairs(), false);
      rotate(kv.data() + t * dim, dim, turns, pairs(), false);
      for (std::int64_t i = 0; csa && i < index_heads; ++i)
        rotate(queries.index_q.data() + (t * index_heads + i) * index_dim, index_dim, turns, pairs(), false);
    }
  });
  const std::int64_t rate = config.compress_rate(layer.kind);
  for (const Segment& segment : chunk.segments) {
    LayerCache& cache = place.cache(segment);
    const std::span ids = chunk.ids_of(segment);
    cache.keep_window(config.sliding_window, dim);
    cache.window.insert(cache.window.end(), kv.begin() + segment.begin * dim, kv.begin() + segment.end * dim);
    const auto add = [&](const decode::PackedCompressor& compressor, CompressorCache& to, const Floats& k,
                         const Floats& gate) {
      const std::int64_t from = segment.begin * compressor.channels;
      compress(compressor, to, {k.data() + from, gate.data() + from, ids}, rate, csa);
    };
    if (!sliding) add(layer.compressor, cache.compressor, entry_kv, entry_gate);
    if (csa) add(layer.index_compressor, cache.indexer, key_kv, key_gate);
  }
  Floats mixed(static_cast<std::size_t>(tokens * heads * dim));
  mix_all(place, chunk, queries, mixed, &Packed::mix);
  out = project(layer, mixed, tokens);
}

void Decoder::Packed::mix_all(const Place& place, const Chunk& chunk, Queries& queries, Floats& mixed,
                              MixToken mix_token) const {
  const std::int64_t tokens = chunk.tokens();
  std::vector<const Segment*> owner(static_cast<std::size_t>(tokens));
  for (const Segment& segment : chunk.segments)
    std::fill(owner.begin() + segment.begin, owner.begin() + segment.end, &segment);
  const bool timed = chunk.segments[0].caches->times.has_value();
  queries.trace = chunk.traced(place.at);
  queries.seconds.resize(timed ? static_cast<std::size_t>(2 * tokens) : 0);
  // With one token only, its indexer and its heads take all cores themselves.
  parallel_for(tokens, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      (this->*mix_token)(place, *owner[static_cast<std::size_t>(t)], t, queries, mixed);
  });
  for (std::size_t t = 0; timed && t < owner.size(); ++t)
    owner[t]->caches->add_times(place.layer.kind, queries.seconds[2 * t], queries.seconds[2 * t + 1]);
}

// Norm, attention, add; norm, experts, add.
void Decoder::Packed::plain_layer(const Place& place, Floats& state, const Chunk& chunk) const {
  const std::int64_t tokens = chunk.tokens(), d = config.hidden_size;
  const decode::PackedLayer& layer = place.layer;
  Floats out;
  const auto add = [&] {
    for (std::size_t i = 0; i < state.size(); ++i) state[i] += out[i];
  };
  Floats h = state;
  rms_norm_rows(h.data(), tokens, d, layer.input_norm.data(), config.rms_norm_eps);
  attention(place, h, chunk, out);
  add();
  h = state;
  rms_norm_rows(h.data(), tokens, d, layer.post_norm.data(), config.rms_norm_eps);
  experts(layer, h, chunk.ids, out, chunk.traced(place.at));
  add();
}

void Decoder::Packed::layer(const Place& place, Floats& state, const Chunk& chunk) const {
  const std::int64_t tokens = chunk.tokens(), d = config.hidden_size;
  const decode::PackedLayer& layer = place.layer;
  if (config.hc_mult == 0) return plain_layer(place, state, chunk);
  Floats pre, post, comb, out;
  Floats h = hyper_pre(layer.attention_hc, state, tokens, pre, &post, &comb);
  rms_norm_rows(h.data(), tokens, d, layer.input_norm.data(), config.rms_norm_eps);
  attention(place, h, chunk, out);
  hyper_post(state, out, post, comb, tokens);
  h = hyper_pre(layer.mlp_hc, state, tokens, pre, &post, &comb);
  rms_norm_rows(h.data(), tokens, d, layer.post_norm.data(), config.rms_norm_eps);
  experts(layer, h, chunk.ids, out, chunk.traced(place.at));
  hyper_post(state, out, post, comb, tokens);
}

Floats Decoder::Packed::final_hidden(const decode::PackedHyper& head_hc, const Floats& head_norm, const Floats& state,
                                     std::int64_t tokens) const {
  Floats pre;
  Floats hidden = config.hc_mult == 0 ? state : hyper_pre(head_hc, state, tokens, pre, nullptr, nullptr);
  rms_norm_rows(hidden.data(), tokens, config.hidden_size, head_norm.data(), config.rms_norm_eps);
  return hidden;
}

}  // namespace orrery
