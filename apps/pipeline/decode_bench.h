// How fast a model's tokens come, at any length of the context, and how fast they could come at best.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/generate/decoder.h"
#include "core/io/json.h"

namespace orrery::pipeline {

struct DecodeBenchOptions {
  std::vector<std::int64_t> contexts = {0};  ///< tokens before the measured ones; ascending
  std::int64_t tokens = 64;                  ///< measured at each length, one by one
  std::int64_t chunk = 512;                  ///< tokens a step on the way there
  std::uint64_t seed = 42;                   ///< of the token ids, drawn evenly: experts are used at random
};

struct DecodeBenchRow {
  std::int64_t context = 0;
  double prefill_seconds = 0;  ///< from the start of the sequence
  double token_seconds = 0;    ///< median
  DecodeTimes times;           ///< mean of one token
  CacheBytes memory;
};

/// Throws InputError for lengths out of order or beyond max_position_embeddings.
std::vector<DecodeBenchRow> bench_decode(const Decoder& decoder, const DecodeBenchOptions& options,
                                         const std::function<void(std::int64_t)>& update = {});

/// Reading a token's weights and nothing else: the dense ones, and experts chosen at random out of the whole model.
/// Median seconds a token, on all threads.
double bench_weight_reading(const Decoder::WeightBytes& bytes, std::uint64_t seed);

/// Seconds a training step of `batch` sequences of `length` tokens (forward, next-token loss, backward; no optimiser):
/// the least of `steps`.
double bench_training_step(const Transformer& model, std::int64_t batch, std::int64_t length, DType compute,
                           std::int64_t steps);

Json decode_bench_json(const std::vector<DecodeBenchRow>& rows, const Decoder::WeightBytes& bytes, double reading);
/// Two tables.
std::string decode_bench_table(const std::vector<DecodeBenchRow>& rows, const Decoder::WeightBytes& bytes,
                               double reading);

}  // namespace orrery::pipeline
