// Step-by-step generation: the transformer's twin with caches. Logits are bit-identical whatever the number of tokens a
// call, the threads, or the sequences beside it (fixed-order kernels); they equal the full forward pass within f32
// noise.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/generate/code_draw.h"
#include "core/generate/trace.h"
#include "core/model/transformer.h"

namespace orrery {

namespace decode {
class DeviceDecoder;
class DeviceSteps;
struct DeviceWeights;
}  // namespace decode

/// Seconds in the attention of the layers of one kind, over all tokens and threads.
struct DecodeTimes {
  double sliding = 0;  ///< over the window
  double csa = 0;      ///< over the window and the chosen entries
  double hca = 0;      ///< over the window and all entries
  double indexer = 0;  ///< choosing entries, or V3.2's tokens
  double latent = 0;   ///< V3's, over all tokens, and V3.2's over the chosen ones
};

/// Bytes that the caches hold, by what they are for.
struct CacheBytes {
  std::int64_t window = 0, csa = 0, hca = 0, indexer = 0;  ///< keys; entries, with those still open; index keys
  std::int64_t latent = 0;                                 ///< V3's and V3.2's row a token
  std::int64_t other = 0;
  std::int64_t sum() const { return window + csa + hca + indexer + latent + other; }
};

/// Caches of one sequence: a window of keys, compressed entries and indexer keys a layer; with V3's attention, one row
/// a token. Copying forks the sequence; keeping a copy is how one rewinds. Grows by one entry a `rate` tokens: bounded
/// where the caller bounds the context.
class DecodeState {
 public:
  DecodeState();
  ~DecodeState();
  DecodeState(const DecodeState& other);
  DecodeState& operator=(const DecodeState& other);
  DecodeState(DecodeState&&) noexcept;
  DecodeState& operator=(DecodeState&&) noexcept;

  /// Tokens appended so far.
  std::int64_t length() const;
  /// Bytes held by the caches.
  std::int64_t bytes() const { return memory().sum(); }
  CacheBytes memory() const;

  /// From here on times() counts; costs a look at the clock a layer and token.
  void measure();
  /// Since measure(); throws Error without it.
  DecodeTimes times() const;

 private:
  friend class Decoder;
  friend class decode::DeviceDecoder;
  struct Caches;
  std::unique_ptr<Caches> caches_;
};

/// What one sequence appends in a step with others.
struct DecodeStep {
  DecodeState* state = nullptr;
  std::span<const std::int32_t> ids;  ///< at least one
};

/// Codes that one sequence is to draw, one after the other.
struct CodeRun {
  DecodeStep step;       ///< what it appends first
  DecodeStep without{};  ///< with guidance, the sequence without a prompt, which gets the same codes; else no state
  float guidance = 1;
  const Sampler* sampler = nullptr;
  std::uint64_t position = 0;  ///< of the first code's random number; each next one's is one higher
};

/// Tokens that a device takes at once; more go in parts.
struct DeviceLimits {
  std::int64_t sequence_tokens = 256;  ///< of one sequence
  std::int64_t step_tokens = 512;      ///< of all together, and most sequences
};

class Decoder {
 public:
  /// Packs the weights for decoding; `model` may go afterwards. `weights`: bf16; i8 with a scale a row, for speed; f32
  /// for comparisons. The indexer's keys are kept in the same format.
  explicit Decoder(const Transformer& model, DType weights = DType::bf16);
  /// The same on a device with memory of its own, which then has the weights and the caches. Its sums have another
  /// order than the CPU's, one that depends on the sequence alone too. It cannot draft, trace or measure. `model` is on
  /// the CPU. Several threads may use it, one after the other.
  Decoder(const Transformer& model, DType weights, Device device, const DeviceLimits& limits = {});
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  const ModelConfig& config() const;
  /// What a step reads of the weights, in bytes; embedding rows left out.
  struct WeightBytes {
    std::int64_t dense = 0;          ///< what every token reads, shared experts included
    std::int64_t expert = 0;         ///< one routed expert's two matrices
    std::int64_t experts = 0;        ///< routed experts of all layers
    std::int64_t experts_token = 0;  ///< those that one token uses
    std::int64_t token() const { return dense + expert * experts_token; }
    std::int64_t all() const { return dense + expert * experts; }
  };
  WeightBytes weight_bytes() const;
  /// `drafting`: keep what draft() needs (the model must have a multi-token-prediction block).
  DecodeState start(bool drafting = false) const;

  /// What append() and the others say of the next token is a row of row_size() values: the logits [vocab] of the
  /// table's ids and, with a code head, what codes() draws from.
  std::int64_t row_size() const;
  /// How codes are drawn from rows.
  const CodeDraw& codes() const;

  /// Appends ids (at least one), returns the row after the last one. Throws InputError for ids out of range.
  std::vector<float> append(DecodeState& state, std::span<const std::int32_t> ids) const;
  /// Appends to several sequences in one pass over the weights; each state at most once. The rows after each one's
  /// last id, [steps · row_size()], bit-identical to append()'s.
  std::vector<float> append_each(std::span<const DecodeStep> steps) const;
  /// The rows after each of the ids, [ids · row_size()]: for scoring.
  std::vector<float> append_all(DecodeState& state, std::span<const std::int32_t> ids) const;

  /// Whether draw_codes() works: on devices, for code books that they can sort.
  bool draws_codes() const;
  /// Lets each sequence append its ids and then draw `count` codes as codes() would, without a word from the host in
  /// between. The last code drawn is not yet appended. Runs of different states; the codes of each.
  std::vector<std::vector<std::int32_t>> draw_codes(std::span<const CodeRun> runs, std::int64_t count) const;

  /// Appends ids, and says what each layer did with each of them.
  DecodeTrace trace(DecodeState& state, std::span<const std::int32_t> ids) const;

  /// The multi-token-prediction block's row for the token after `id`, which is the next to be appended (DeepSeek-V3,
  /// arXiv 2412.19437, §2.2). With `ahead` = 1, 2, …: for the token after that draft `id`, in order, the block running
  /// on its own states. A guess: append_block says what the model thinks. `state` was started for drafting and has at
  /// least one token.
  std::vector<float> draft(DecodeState& state, std::int32_t id, std::int64_t ahead = 0) const;
  /// As append_all; until the next append, keep() can take back any part of it.
  std::vector<float> append_block(DecodeState& state, std::span<const std::int32_t> ids) const;
  /// Takes back all but the first `count` ids of the last append_block: the state is bit for bit what it would be had
  /// only they been appended.
  void keep(DecodeState& state, std::int64_t count) const;

 private:
  friend class decode::DeviceDecoder;
  friend class decode::DeviceSteps;
  friend struct decode::DeviceWeights;
  struct Packed;
  std::unique_ptr<Packed> packed_;
  std::unique_ptr<decode::DeviceDecoder> device_;  ///< where it decodes on one
};

}  // namespace orrery
