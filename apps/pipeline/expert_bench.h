// How evenly a model's experts are used after a short training on real text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "core/model/config.h"
#include "core/optim/optimizer.h"
#include "core/train/language_training.h"

namespace orrery::pipeline {

struct ExpertBenchOptions {
  std::vector<std::string> text;  ///< files, and folders of files; what is not UTF-8 text is passed over
  std::int64_t steps = 500;
  std::int64_t batch = 4, length = 256;  ///< sequences a step and their tokens
  std::int64_t tokens = 100'000;         ///< measured at least, of text that was not trained on
  double lr = 1.5e-3;
  std::uint64_t seed = 42;
  std::int64_t settle_batches = 256;  ///< batches that the biases are fitted on at the end
  LanguageTrainingConfig training = {.compute = DType::f32};
};

struct ExpertBenchRow {
  std::int64_t layer = 0;
  MlpKind kind = MlpKind::moe;
  std::vector<std::int64_t> tokens;  ///< that each expert got
};

struct ExpertBenchResult {
  std::vector<ExpertBenchRow> rows;  ///< layers with experts
  std::int64_t tokens = 0;           ///< measured
  std::int64_t per_token = 0;        ///< experts that each got: no drops where loads sum up to tokens · per_token
  std::int64_t trained_tokens = 0;
  double loss = 0;          ///< nats a token, of the measured ones
  double unigram_loss = 0;  ///< what the tokens' frequencies alone would give there
};

/// Trains a model of `config` (random weights; the tokenizer is learnt from the text too, config.vocab_size tokens),
/// then counts. Every fourth block of 1,024 tokens is left out of training and measured. Throws InputError for too
/// little text.
ExpertBenchResult bench_experts(const ModelConfig& config, const ExpertBenchOptions& options,
                                const std::function<void(std::int64_t)>& update = {});

Json expert_bench_json(const ExpertBenchResult& result);
std::string expert_bench_table(const ExpertBenchResult& result);

}  // namespace orrery::pipeline
