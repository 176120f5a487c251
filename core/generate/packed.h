// A model's weights as decoding wants them, and the layers over them. Inside of Decoder; only core/generate includes
// it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/generate/caches.h"
#include "core/generate/decode_math.h"
#include "core/generate/decoder.h"
#include "core/model/code_digits.h"

namespace orrery {

namespace decode {

struct PackedCompressor {
  Matrix kv, gate;
  Floats bias, norm;
  std::int64_t channels = 0;
  bool index = false;  // its entries are the indexer's keys
};
struct PackedHyper {
  Matrix fn;
  Floats base, scale;
};
/// V3's latent attention, its up-projection a head each, and V3.2's index keys.
struct PackedLatent {
  Matrix kv_a, o;                        // [kv_lora + rope, hidden], [hidden, heads · v]
  std::vector<Matrix> key_up, value_up;  // [kv_lora, nope], [v, kv_lora]
  Floats kv_a_norm, index_norm, index_norm_bias;
  Matrix index_k;
};
struct PackedLayer {
  AttentionKind kind;
  MlpKind mlp;
  PackedHyper attention_hc, mlp_hc;
  Floats input_norm, post_norm, q_a_norm, kv_norm, sinks;
  Matrix q_a, q_b, kv, o_b;
  std::vector<Matrix> o_a;  // a group each
  PackedCompressor compressor, index_compressor;
  Matrix index_q, index_weights;
  std::optional<PackedLatent> latent;  // then only q_a, q_b and the indexer's two of the above
  Matrix gate;
  Floats router_bias;
  std::vector<std::int32_t> tid2eid;
  std::vector<Matrix> gate_up, down;  // an expert each; the shared one last, in dense layers alone
};
/// What ids look up: bf16 or f32.
struct PackedTable {
  Tensor table;
  Floats extra;  // [Σ extra_levels, hidden]
};
/// The multi-token-prediction block.
struct PackedMtp {
  Matrix e_proj, h_proj;
  Floats e_norm, h_norm, norm;
  PackedLayer layer;
  PackedHyper hc_head;
};

/// Adds to each row's weight its share of the token's attention; rows in the order of `args.rows`.
void add_shares(const DecodeAttentionArgs& args, std::vector<TokenTrace::Share>& shares);

}  // namespace decode

struct Decoder::Packed {
  ModelConfig config;
  RopeAxes axes;
  DType dtype;
  CodeDraw codes;
  decode::PackedTable embed, recall;
  Tensor places;
  Matrix head;  // [row_size, hidden]
  std::vector<decode::PackedLayer> layers;
  decode::PackedHyper hc_head;
  Floats norm, main_frequencies, compress_frequencies;
  std::optional<decode::PackedMtp> mtp;

  Packed(const Transformer& model, DType weights);
  Matrix pack(const Tensor& w) const;
  Tensor pack_table(const Tensor& w) const;
  decode::PackedTable pack_table(const DigitTable& from) const;
  decode::PackedCompressor pack_compressor(const CompressorWeights& from, bool index) const;
  decode::PackedLayer pack_layer(const LayerWeights& from) const;
  void pack_attention(const AttentionWeights& from, decode::PackedLayer& layer) const;
  void pack_latent(const AttentionWeights& from, decode::PackedLayer& layer) const;

  /// One sequence's tokens within a chunk: [begin, end) are its next ones, the first of them at position `first`.
  struct Segment {
    DecodeState::Caches* caches;
    std::int64_t begin, end, first;
    std::int64_t position(std::int64_t token) const { return first + token - begin; }
  };
  /// What goes through the layers together.
  struct Chunk {
    std::vector<std::int32_t> ids;
    std::vector<Segment> segments;
    Floats main_turns, compress_turns;  // [tokens, pairs, 2]: cos and sin of each token's rotary angles
    DecodeTrace* trace = nullptr;       ///< wanted of the main layers, where there is one segment
    std::int64_t tokens() const { return static_cast<std::int64_t>(ids.size()); }
    /// Where the layer says what it does with each token; null when nobody asks.
    TokenTrace* traced(std::size_t at) const { return trace != nullptr ? (*trace)[at].data() : nullptr; }
    std::span<const std::int32_t> ids_of(const Segment& segment) const {
      return std::span(ids).subspan(static_cast<std::size_t>(segment.begin),
                                    static_cast<std::size_t>(segment.end - segment.begin));
    }
  };
  /// A layer's weights, and which of a sequence's caches is its own: a main layer's, or (at = kMtp) the
  /// multi-token-prediction block's.
  struct Place {
    const decode::PackedLayer& layer;
    std::size_t at;
    LayerCache& cache(const Segment& segment) const;
  };
  static constexpr std::size_t kMtp = static_cast<std::size_t>(-1);

  Decoder::WeightBytes weight_bytes() const;
  /// Throws InputError for ids out of range, none, or a context with `more` behind it that is too long.
  void check(std::span<const DecodeStep> steps, std::int64_t more = 0) const;
  Chunk chunk_of(std::span<const DecodeStep> steps) const;
  /// `ids`: the tokens at the chunk's positions.
  void add_turns(Chunk& chunk, std::span<const std::int32_t> ids) const;
  std::int64_t pairs() const { return config.qk_rope_head_dim / 2; }
  /// Rows of hidden_size in a token's state.
  std::int64_t streams() const { return std::max<std::int64_t>(1, config.hc_mult); }
  /// One block over a chunk: state [T, n, d], in place.
  void layer(const Place& place, Floats& state, const Chunk& chunk) const;
  void plain_layer(const Place& place, Floats& state, const Chunk& chunk) const;
  void attention(const Place& place, const Floats& h, const Chunk& chunk, Floats& out) const;
  /// What attention of one layer needs of a chunk.
  struct Queries {
    Floats q, index_q, index_w;  // [T, heads, dim], [T, index heads, index dim], [T, index heads]
    const Floats* turns = nullptr;
    std::vector<double> seconds;  // [T, 2] where measured: choosing entries, attending
    TokenTrace* trace = nullptr;  // [T] where asked for
  };
  void mix(const Place& place, const Segment& segment, std::int64_t token, Queries& queries, Floats& mixed) const;
  /// One token against the rows that it sees, as the family does it.
  using MixToken = void (Packed::*)(const Place& place, const Segment& segment, std::int64_t token, Queries& queries,
                                    Floats& mixed) const;
  void mix_all(const Place& place, const Chunk& chunk, Queries& queries, Floats& mixed, MixToken mix_token) const;
  // core/generate/decode_latent.cc
  void latent_attention(const Place& place, const Floats& h, const Chunk& chunk, Floats& out) const;
  Floats latent_queries(const decode::PackedLatent& latent, const Floats& q, std::int64_t tokens) const;
  void keep_latents(const Place& place, const Floats& h, const Chunk& chunk) const;
  void mix_latent(const Place& place, const Segment& segment, std::int64_t token, Queries& queries,
                  Floats& mixed) const;
  Floats project(const decode::PackedLayer& layer, const Floats& mixed, std::int64_t tokens) const;
  /// Adds a sequence's rows of kv and gate [ids, channels] to the open window; closed windows become entries.
  struct Rows {
    const float *kv, *gate;
    std::span<const std::int32_t> ids;
  };
  void compress(const decode::PackedCompressor& compressor, CompressorCache& cache, const Rows& rows, std::int64_t rate,
                bool overlap) const;
  /// The indexer's choice of index_topk entries, ascending; equal scores: the lowest entry.
  std::vector<std::int32_t> choose_entries(const float* q, const float* w, const IndexKeys& keys,
                                           std::int64_t visible) const;
  void experts(const decode::PackedLayer& layer, const Floats& h, std::span<const std::int32_t> ids, Floats& out,
               TokenTrace* trace) const;
  Floats hyper_pre(const decode::PackedHyper& hyper, const Floats& state, std::int64_t tokens, Floats& pre,
                   Floats* post, Floats* comb) const;
  void hyper_post(Floats& state, const Floats& f, const Floats& post, const Floats& comb, std::int64_t tokens) const;
  Floats embedded(const Chunk& chunk) const;
  static void add_row(const Tensor& table, std::int64_t at, Floats& row);
  void add_embedding(const decode::PackedTable& from, std::int32_t id, Floats& row) const;
  /// [T, d]: the streams' weighted sum, normed.
  Floats final_hidden(const decode::PackedHyper& head_hc, const Floats& head_norm, const Floats& state,
                      std::int64_t tokens) const;
  /// The normed hidden state after each token. What earlier blocks could take back is settled.
  Floats run(const Chunk& chunk) const;
  /// The multi-token-prediction block over rows of states at positions from `first` on, in place; own[i] is the token
  /// of row i, next[i] the one behind it.
  void run_mtp(DecodeState::Caches& caches, Floats& state, std::int64_t first, std::span<const std::int32_t> next,
               std::span<const std::int32_t> own) const;
  /// Takes the last block's tokens out of one compressor's cache, but for the first ones, `kept`.
  void take_back(const decode::PackedCompressor& compressor, CompressorCache& cache, std::span<const std::int32_t> kept,
                 std::int64_t rate, bool overlap) const;
};

}  // namespace orrery
