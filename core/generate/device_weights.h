// A model's weights in a device's memory, and where its layers' rows lie in a sequence's cache there. Inside of
// Decoder; only core/generate includes it.
#pragma once

#include <vector>

#include "core/generate/packed.h"
#include "kernels/api/decode_draw.h"
#include "kernels/api/decode_step.h"

namespace orrery::decode {

struct DeviceMatrix {
  Tensor values, scales;
  StepMatrix step() const {
    return {values.view(), scales.defined() ? static_cast<const float*>(scales.raw()) : nullptr};
  }
};

/// The first float of a tensor on the device; nullptr where it is undefined.
inline float* floats(const Tensor& x) { return x.defined() ? static_cast<float*>(x.raw()) : nullptr; }
inline std::int32_t* integers(const Tensor& x) { return x.defined() ? static_cast<std::int32_t*>(x.raw()) : nullptr; }

struct DeviceHyper {
  Tensor fn, base, scale;
};

/// What reads the layer's input is one matrix, and so is what reads the queries' latent.
struct DeviceLayer {
  AttentionKind kind = AttentionKind::sliding;
  MlpKind mlp = MlpKind::moe;
  DeviceHyper attention_hc, mlp_hc;
  Tensor input_norm, post_norm, q_a_norm, key_norm, sinks;
  DeviceMatrix in;  ///< q_a, the key, and where they are: kv and gate of both compressors, the indexer's weights
  DeviceMatrix q;   ///< q_b and the indexer's queries
  std::int64_t key_column = 0, index_weights_column = 0;
  DeviceMatrix o_a, o_b;  ///< o_a: the groups one below the other
  /// V3's latent attention: then `in` has q_a, the rows and where they are the indexer's keys and weights; o_b: all
  /// heads.
  bool latent = false;
  DeviceMatrix key_up, value_up;  ///< the heads one below the other
  Tensor row_norm, index_norm, index_bias;
  std::int64_t index_key_column = 0;
  StepRows rows;
  StepCompressor entries, keys;
  std::vector<Tensor> kept;  ///< what the compressors point to
  DeviceMatrix gate;
  Tensor router_bias, tid2eid;
  DeviceMatrix gate_up, down;  ///< the experts one below the other, the shared one last
};

/// How codes are drawn there.
struct DeviceCodes {
  Tensor bias, first, earlier, out, out_bias;
  StepDrawArgs args;  ///< without what a step brings
};

struct DeviceWeights {
  /// `sequence_tokens`: most tokens of one sequence in a step.
  DeviceWeights(const Decoder::Packed& packed, Device device, std::int64_t sequence_tokens);

  Tensor embed, recall, places, embed_extra, recall_extra;
  Tensor main_frequencies, compress_frequencies, axes, cells;
  std::vector<DeviceLayer> layers;
  DeviceHyper hc_head;
  Tensor norm;
  DeviceMatrix head;
  DeviceCodes codes;
  StepIds ids;
  StepRope rope;
  StepCache cache;
  std::int64_t grown = 0;  ///< floats of growth a unit, all layers

  /// Floats of a cache with room for so many units.
  std::int64_t cache_floats(std::int64_t units) const { return cache.fixed + units * grown; }
  /// The beginnings of the layers' parts of the growth, a unit, and `grown` at the end.
  std::vector<std::int64_t> parts;

 private:
  void add_latent(const Decoder::Packed& packed, const PackedLayer& from, Device device, DeviceLayer& layer) const;
  void add_window(const Decoder::Packed& packed, const PackedLayer& from, Device device, DeviceLayer& layer) const;
  DeviceLayer layer(const Decoder::Packed& packed, const PackedLayer& from, Device device) const;
  void lay_out(const ModelConfig& config, std::int64_t sequence_tokens);
  void add_codes(const CodeDraw& from, Device device);
};

}  // namespace orrery::decode
