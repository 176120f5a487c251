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

  std::int64_t bytes() const {
    std::size_t floats = 0;
    for (const LayerCache& layer : layers) {
      floats += layer.window.capacity();
      for (const CompressorCache* cache : {&layer.compressor, &layer.indexer})
        floats += cache->entries.capacity() + cache->open_kv.capacity() + cache->open_gate.capacity() +
                  cache->prior_kv.capacity() + cache->prior_gate.capacity();
    }
    return static_cast<std::int64_t>(floats * sizeof(float));
  }
};

}  // namespace orrery
