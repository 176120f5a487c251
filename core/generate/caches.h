// What a decoding sequence keeps a layer. Inside of DecodeState; only core/generate includes it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/generate/decoder.h"
#include "core/tensor/tensor.h"

namespace orrery {

/// Keys of the indexer in the weights' format, in the blocks that kernels/api/decode.h wants.
class IndexKeys {
 public:
  std::int64_t count() const { return count_; }
  DType dtype() const { return dtype_; }
  const void* data() const { return data_.data(); }
  const float* scales() const { return dtype_ == DType::i8 ? scales_.data() : nullptr; }
  /// key [dim]; all of one dtype: f32, bf16 or i8.
  void add(std::span<const float> key, DType dtype);
  void resize(std::int64_t count) { count_ = count; }
  std::int64_t bytes() const {
    return static_cast<std::int64_t>(data_.capacity() + scales_.capacity() * sizeof(float));
  }

 private:
  std::int64_t count_ = 0;
  DType dtype_ = DType::f32;
  std::vector<std::uint8_t> data_;
  std::vector<float> scales_;
};

/// Compressed entries and the window that is still open.
struct CompressorCache {
  std::vector<float> entries;  ///< [count, dim], normed and rotated; not in the indexer's
  IndexKeys keys;              ///< the indexer's entries
  std::int64_t count = 0;
  std::int32_t open_id = 0;                 ///< the open window's first token
  std::vector<float> open_kv, open_gate;    ///< [tokens in the open window, channels]
  std::vector<float> prior_kv, prior_gate;  ///< CSA: the closed window before, [rate, channels]

  /// What a block of drafts found, and its rows: enough to take back any part of it.
  struct Journal {
    std::vector<float> open_kv, open_gate, prior_kv, prior_gate;
    std::int64_t count = 0;
    std::int32_t open_id = 0;
    std::vector<float> kv, gate;  ///< [tokens of the block, channels]

    void add(const float* new_kv, const float* new_gate, std::int64_t values) {
      kv.insert(kv.end(), new_kv, new_kv + values);
      gate.insert(gate.end(), new_gate, new_gate + values);
    }
  };
  std::optional<Journal> journal;

  void begin_block() { journal = Journal{open_kv, open_gate, prior_kv, prior_gate, count, open_id, {}, {}}; }
};

struct LayerCache {
  std::vector<float> window;   ///< [rows, head_dim]: the newest keys, oldest first
  std::vector<float> latents;  ///< V3: [tokens, kv_lora + rope]; V3.2's index keys are the indexer's
  CompressorCache compressor, indexer;

  /// Drops the newest tokens' rows, and their index keys.
  void take_back_latents(std::size_t tokens, std::size_t width) {
    latents.resize(latents.size() - tokens * width);
    indexer.keys.resize(std::min(indexer.keys.count(), static_cast<std::int64_t>(latents.size() / width)));
  }
  /// Drops keys that no later token can see. Cuts only now and then, so that it costs little.
  void keep_window(std::int64_t size, std::int64_t dim) {
    const auto rows = static_cast<std::int64_t>(window.size()) / dim;
    if (rows < 2 * size) return;
    window.erase(window.begin(), window.begin() + (rows - size + 1) * dim);
  }
};

/// The multi-token-prediction block's part: it runs one token behind, since it needs the next token.
struct MtpCache {
  LayerCache layer;
  std::int64_t done = 0;           ///< positions that it ran
  std::vector<float> states;       ///< [positions from `done` on, n · d]: the model's last states, still to be run
  std::vector<std::int32_t> own;   ///< the token of each of these
  std::vector<std::int32_t> next;  ///< the token behind each of these but the last
  std::int64_t chained = 0;        ///< positions beyond `done` in the layer's cache, run on drafts
  std::vector<float> chain;        ///< [n · d]: the block's own state at the last position it ran
  std::int32_t chain_id = 0;       ///< the token behind that position

  /// Forgets the last positions of the model, `width` values each.
  void take_back(std::size_t positions, std::size_t width) {
    ORRERY_ASSERT(positions * width <= states.size(), "[decoder] takes back ", positions, " positions of ",
                  states.size() / width, " that drafts have not seen");
    states.resize(states.size() - positions * width);
    own.resize(own.size() - positions);
    next.resize(next.size() - std::min(next.size(), positions));
  }
};

/// All of a sequence's caches on a device, in one block (kernels/api/decode_step.h). A copy has its own.
struct DeviceSequence {
  Tensor block;
  std::int64_t units = 0;  ///< of growth that there is room for

  DeviceSequence() = default;
  DeviceSequence(const DeviceSequence& other)
      : block(other.block.defined() ? other.block.clone() : Tensor()), units(other.units) {}
  DeviceSequence& operator=(const DeviceSequence& other) {
    DeviceSequence copy(other);
    return *this = std::move(copy);
  }
  DeviceSequence(DeviceSequence&&) noexcept = default;
  DeviceSequence& operator=(DeviceSequence&&) noexcept = default;
};

struct DecodeState::Caches {
  std::vector<LayerCache> layers;
  DeviceSequence device;  ///< instead of the layers, where it decodes on one
  std::int64_t length = 0;
  std::optional<DecodeTimes> times;         ///< only where measured
  std::optional<MtpCache> mtp;              ///< only where drafts are wanted
  std::vector<std::int32_t> block;          ///< the tokens that may still be taken back
  std::vector<std::int32_t> recent_before;  ///< recent_ids before the block
  /// The first token and the newest ones, where the model looks a latent frame back (video.recall_embedding).
  std::int32_t first_id = 0;
  std::vector<std::int32_t> recent_ids;

  /// The token one group before the one that follows `id`, which is appended; the first token where there is none.
  std::int32_t recall(std::int32_t id, std::int64_t group) {
    if (recent_ids.empty()) first_id = id;
    recent_ids.push_back(id);
    const auto count = static_cast<std::int64_t>(recent_ids.size());
    const std::int32_t recalled = count < group ? first_id : recent_ids[static_cast<std::size_t>(count - group)];
    if (count >= 4 * group) recent_ids.erase(recent_ids.begin(), recent_ids.end() - group);
    return recalled;
  }

  void begin_block(std::span<const std::int32_t> ids) {
    block.assign(ids.begin(), ids.end());
    recent_before = recent_ids;
    for (LayerCache& layer : layers) layer.compressor.begin_block(), layer.indexer.begin_block();
  }
  void forget_block() {
    block.clear();
    for (LayerCache& layer : layers) layer.compressor.journal.reset(), layer.indexer.journal.reset();
  }

  void add_times(AttentionKind kind, double choosing, double attending) {
    times->indexer += choosing;
    const bool latent = kind == AttentionKind::mla || kind == AttentionKind::dsa;
    (latent                       ? times->latent
     : kind == AttentionKind::csa ? times->csa
     : kind == AttentionKind::hca ? times->hca
                                  : times->sliding) += attending;
  }
  CacheBytes memory() const;
};

}  // namespace orrery
