// A decoding step on a device with memory of its own, kernel by kernel: core/generate/device_decoder.cc strings them
// together. Tokens of several sequences go through a layer together, and each token's values come from sums in one
// order, whatever the tokens beside it. All that changes from step to step (ids, positions, caches) lies in device
// memory, so that recorded steps can run again (kernels/api/device_memory.h). Activations are f32, weights f32, bf16 or
// i8 with a scale a row.
//
// A sequence's cache is one block of floats. Its fixed part holds rings, in which position p has row p mod their
// length; rows stay until another position takes their place, so that tokens are taken back by lowering the position
// alone. The rings are longer than what a token looks back on by the tokens of a step: nobody reads a row that the step
// writes over. Behind the fixed part, rows that grow with the sequence lie layer by layer, with room for `units` · unit
// tokens.
#pragma once

#include <cstdint>

#include "kernels/api/hyper_connection.h"
#include "kernels/api/types.h"

namespace orrery {

/// One token of a step, in device memory.
struct StepToken {
  float* cache = nullptr;     ///< its sequence's
  std::int32_t units = 0;     ///< that the cache has room for
  std::int32_t position = 0;  ///< in the sequence
  std::int32_t id = 0;
  std::int32_t first = 0;  ///< the step's first token of the same sequence; those between stand in order
};

/// Where things lie in a cache; offsets and lengths in floats. The same for all layers.
struct StepCache {
  std::int64_t id_ring = 0;      ///< ids kept, one float's room each: the first id of all at 0, the ring from 1 on
  std::int64_t window_ring = 0;  ///< rows
  std::int64_t fixed = 0;        ///< length of the fixed part
  std::int64_t unit = 1;         ///< tokens that one unit of growth has room for
};

/// Where one layer's rows lie.
struct StepRows {
  std::int64_t window = 0;  ///< its ring, within the fixed part
  std::int64_t grown = 0;   ///< floats of growth before its entries, a unit
  std::int64_t rate = 0;    ///< tokens an entry; 0: no entries
};

/// A matrix [n, k], contiguous, with a scale a row where it is i8.
struct StepMatrix {
  TensorView w;
  const float* scales = nullptr;
};

/// Rotary angles: of a pair, the token's place on the pair's axis (core/model/rope_axes.h) times the pair's frequency.
struct StepRope {
  const std::int32_t* axes = nullptr;   ///< [pairs] 0 time, 1 row, 2 column; nullptr: all turn with the position
  const std::int32_t* cells = nullptr;  ///< [codes of a frame] the row-major cell of the k-th code
  std::int32_t group = 1, columns = 1, header = 0;
  std::int32_t frame_mark = 0, first_in_frame = 0;
  std::int32_t pairs = 0;
};

/// How ids name rows of the tables and extra digits (core/model/code_digits.h).
struct StepIds {
  static constexpr int kMostDigits = 8;
  std::int32_t first_code = 0, table_codes = 1, digits = 0;
  std::int32_t levels[kMostDigits] = {};  ///< of the extra digits
};

/// The step's begin: states from embeddings, the ids into the rings, cos and sin of the tokens' angles.
struct StepBeginArgs {
  static constexpr const char* kOp = "step_begin";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0, width = 0, streams = 1;
  StepIds ids;
  TensorView embed;                     ///< [rows, width]
  TensorView recall;                    ///< likewise: of the token one group before the next one; or not given
  TensorView places;                    ///< [group, width] or not given
  const float* embed_extra = nullptr;   ///< [Σ levels, width] or none
  const float* recall_extra = nullptr;  ///< likewise
  std::int32_t group = 1;
  StepCache cache;
  StepRope rope;
  const float *main_frequencies = nullptr, *compress_frequencies = nullptr;  ///< [pairs]
  float* state = nullptr;                                                    ///< [T, streams, width] out
  float *main_turns = nullptr, *compress_turns = nullptr;                    ///< [T, pairs, 2] out
  Device device() const { return Device::cuda; }
};

/// Between two parts of a layer: adds what the part before gave to the state, and makes the next one's input of it,
/// normed. With hyper-connections as kernels/api/hyper_connection.h has it, without (streams = 0) by plain addition.
struct StepJoinArgs {
  static constexpr const char* kOp = "step_join";
  std::int64_t count = 0, width = 0, streams = 0;
  float* state = nullptr;                  ///< [T, max(1, streams), width] in place
  const float* part = nullptr;             ///< [T, width]: the part's result, or none
  float *post = nullptr, *comb = nullptr;  ///< [T, n], [T, n, n]: for `part` in, for the next one out
  const float* fn = nullptr;               ///< [mixes, n · width]
  const float *base = nullptr, *scale = nullptr;
  std::int64_t mixes = 0;  ///< (2 + n) n, or n: the head's form, without post and comb
  HcOptions options;
  const float* norm = nullptr;  ///< [width]
  float* out = nullptr;         ///< [T, width]
  Device device() const { return Device::cuda; }
};

/// y[t, n] = Σ_k x[t, k] · w[n, k].
struct StepProductArgs {
  static constexpr const char* kOp = "step_product";
  const float* x = nullptr;
  std::int64_t count = 0, x_stride = 0;  ///< rows and from row to row
  StepMatrix matrix;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  /// The rows of w in so many groups: each reads x from group · x_group on, and writes to y from group · y_group on.
  std::int64_t groups = 1, x_group = 0, y_group = 0;
  const float* norm = nullptr;  ///< [k]: x's rows are normed first
  float eps = 0;
  const std::int32_t* rows = nullptr;  ///< [count]: which row of x each is, or all in order
  Device device() const { return Device::cuda; }
};

/// A compressor's part of a projection's row, and what its entries are made with (V4, §2.3).
struct StepCompressor {
  StepRows rows;                       ///< window: the ring of kv and gate side by side, [raw_ring, 2 · channels]
  std::int64_t raw_ring = 0;           ///< rows
  std::int64_t column = 0;             ///< of kv in the projection; the gate's columns follow
  std::int64_t channels = 0, dim = 0;  ///< channels = 2 · dim: windows overlap (CSA)
  const float *bias = nullptr, *norm = nullptr;  ///< [rate, channels], [dim]
  DType rounded = DType::f32;                    ///< entries are rounded to what this holds: the indexer's keys
};

/// Heads of queries and the key normed and turned, the key and the compressors' rows into the cache, and the entries
/// whose last token is in the step.
struct StepPlaceArgs {
  static constexpr const char* kOp = "step_place";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0;
  float* q = nullptr;         ///< [T, heads · dim + index_heads · index_dim], in place; index queries turn unnormed
  const float* in = nullptr;  ///< [T, in_stride]: the projection of the layer's input
  std::int64_t in_stride = 0, key_column = 0;
  std::int64_t heads = 0, dim = 0, index_heads = 0, index_dim = 0;
  const float* key_norm = nullptr;  ///< [dim]
  float eps = 0;
  const float* turns = nullptr;  ///< [T, pairs, 2]
  StepRope rope;
  const float* frequencies = nullptr;  ///< of entries
  StepCache cache;
  StepRows rows;
  StepCompressor entries, keys;  ///< channels = 0: none
  Device device() const { return Device::cuda; }
};

/// The same for V3's latent attention (arXiv 2412.19437, §2.1.1), whose entries are the tokens' own rows: queries
/// turned (a head's first values are still to be absorbed), rows normed and turned, the indexer's keys by a layer norm.
struct StepLatentArgs {
  static constexpr const char* kOp = "step_latent";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0;
  float* q = nullptr;  ///< [T, q_stride]: heads of nope + 2 · pairs, then index heads; in place
  std::int64_t q_stride = 0, heads = 0, nope = 0, index_heads = 0, index_dim = 0;
  float* absorbed = nullptr;  ///< [T, heads, lora + 2 · pairs] out: the turned values, behind room for the others
  const float* in = nullptr;  ///< [T, in_stride]: the projection of the layer's input
  std::int64_t in_stride = 0, row_column = 0, key_column = 0, lora = 0;
  const float* row_norm = nullptr;                           ///< [lora]
  const float *index_norm = nullptr, *index_bias = nullptr;  ///< [index_dim]
  float eps = 0;
  const float* turns = nullptr;  ///< [T, pairs, 2]
  std::int64_t pairs = 0;
  StepCache cache;
  StepRows rows, keys;         ///< of rate 1; without index heads there are no keys
  DType rounded = DType::f32;  ///< keys are rounded to what this holds
  Device device() const { return Device::cuda; }
};

/// The indexer's choice: of the entries that a token sees, the `top` with the best Σ_h w[h] · max(0, q[h]·key), equal
/// scores the lowest, ascending. Where a token sees no more than `top`, nothing is written: it takes them all.
struct StepIndexArgs {
  static constexpr const char* kOp = "step_index";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0;
  const float* q = nullptr;  ///< [T, q_stride], heads · dim of them
  const float* w = nullptr;  ///< [T, w_stride], heads of them
  std::int64_t q_stride = 0, w_stride = 0, heads = 0, dim = 0, top = 0;
  float scale = 1;  ///< of w
  StepCache cache;
  StepRows keys;
  float* scores = nullptr;         ///< [T, most]
  std::int64_t most = 0;           ///< entries that any of the sequences may have
  std::int32_t* chosen = nullptr;  ///< [T, top] out
  Device device() const { return Device::cuda; }
};

/// Each token against its window and the entries that it sees or chose, with a sink a head; the result turned back.
struct StepAttentionArgs {
  static constexpr const char* kOp = "step_attention";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0;
  const float* q = nullptr;  ///< [T, q_stride]
  std::int64_t q_stride = 0, heads = 0, dim = 0, window = 0;
  float scale = 1;
  const float* sinks = nullptr;  ///< [heads]
  StepCache cache;
  StepRows rows;                         ///< grown: the entries
  const std::int32_t* chosen = nullptr;  ///< [T, top], or none: all
  std::int64_t top = 0;
  const float* turns = nullptr;  ///< [T, pairs, 2]
  std::int64_t pairs = 0;
  float* out = nullptr;  ///< [T, heads, dim]
  Device device() const { return Device::cuda; }
};

/// The row of each token's id: experts by token.
struct StepTableArgs {
  static constexpr const char* kOp = "step_table";
  const StepToken* tokens = nullptr;
  std::int64_t count = 0, width = 0;
  StepIds ids;
  const std::int32_t* table = nullptr;  ///< [rows, width]
  std::int32_t* out = nullptr;          ///< [T, width]
  Device device() const { return Device::cuda; }
};

/// Σ over a token's experts, in the order of their choice, of weight · down(silu(min(gate, limit)) · clamp(up,
/// ±limit)); the expert behind the routed ones is shared, and comes last with weight 1.
struct StepExpertsArgs {
  static constexpr const char* kOp = "step_experts";
  const float* x = nullptr;  ///< [T, width]
  std::int64_t count = 0, width = 0, inner = 0;
  std::int64_t experts = 0, chosen = 0;  ///< routed ones, and of these a token's
  StepMatrix gate_up, down;              ///< [(experts + 1) · 2 · inner, width], [(experts + 1) · width, inner]
  const std::int32_t* ids = nullptr;     ///< [T, chosen]
  const float* weights = nullptr;        ///< [T, chosen]
  float limit = 0;                       ///< 0: no clamp
  float* active = nullptr;               ///< [T, chosen + 1, inner] scratch
  float* out = nullptr;                  ///< [T, width]
  Device device() const { return Device::cuda; }
};

}  // namespace orrery
