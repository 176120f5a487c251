// What a decoding sequence keeps a layer. Inside of DecodeState; only core/generate includes it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/generate/decoder.h"

namespace orrery {

/// Compressed entries and the window that is still open.
struct CompressorCache {
  std::vector<float> entries;  ///< [count, dim], normed and rotated
  std::int64_t count = 0;
  std::vector<float> open_kv, open_gate;    ///< [tokens in the open window, channels]
  std::vector<float> prior_kv, prior_gate;  ///< CSA: the closed window before, [rate, channels]
};

struct LayerCache {
  std::vector<float> window;  ///< [rows, head_dim]: the newest keys, oldest first
  CompressorCache compressor, indexer;

  /// Drops keys that no later token can see. Cuts only now and then, so that it costs little.
  void keep_window(std::int64_t size, std::int64_t dim) {
    const auto rows = static_cast<std::int64_t>(window.size()) / dim;
    if (rows < 2 * size) return;
    window.erase(window.begin(), window.begin() + (rows - size + 1) * dim);
  }
};

struct DecodeState::Caches {
  std::vector<LayerCache> layers;
  std::int64_t length = 0;
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

  std::int64_t bytes() const {
    std::size_t floats = 0;
    for (const LayerCache& layer : layers) {
      floats += layer.window.capacity();
      for (const CompressorCache* cache : {&layer.compressor, &layer.indexer})
        floats += cache->entries.capacity() + cache->open_kv.capacity() + cache->open_gate.capacity() +
                  cache->prior_kv.capacity() + cache->prior_gate.capacity();
    }
    return static_cast<std::int64_t>(floats * sizeof(float) + recent_ids.capacity() * sizeof(std::int32_t));
  }
};

}  // namespace orrery
