#include "apps/pipeline/decode_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/autograd/autograd.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/loss.h"

namespace orrery::pipeline {

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<std::int32_t> draw_ids(Random& random, std::int64_t vocab, std::int64_t count) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab))));
  return ids;
}

DecodeTimes per_token(const DecodeTimes& times, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  return {times.sliding / n, times.csa / n, times.hca / n, times.indexer / n, times.latent / n};
}

std::uint64_t sum_of(const std::vector<std::uint64_t>& words, std::size_t begin, std::size_t end) {
  std::uint64_t sums[8] = {};
  std::size_t i = begin;
  for (; i + 8 <= end; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += words[i + k];
  for (; i < end; ++i) sums[0] += words[i];
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace

std::vector<DecodeBenchRow> bench_decode(const Decoder& decoder, const DecodeBenchOptions& options,
                                         const std::function<void(std::int64_t)>& update) {
  const ModelConfig& config = decoder.config();
  ORRERY_CHECK(options.tokens >= 1 && options.chunk >= 1, "--tokens and --chunk are ", options.tokens, " and ",
               options.chunk, ", expected at least 1");
  Random random(options.seed);
  DecodeState state = decoder.start();
  std::vector<DecodeBenchRow> rows;
  double prefill = 0;
  for (const std::int64_t context : options.contexts) {
    ORRERY_CHECK(context >= state.length() && context + options.tokens <= config.max_position_embeddings,
                 "--context has ", context, ", expected ", state.length(),
                 " to max_position_embeddings = ", config.max_position_embeddings, " less ", options.tokens,
                 " measured tokens");
    const auto begin = Clock::now();
    while (state.length() < context) {
      decoder.append(state, draw_ids(random, config.vocab_size, std::min(options.chunk, context - state.length())));
      if (update) update(state.length());
    }
    prefill += since(begin);
    state.measure();
    std::vector<double> seconds;
    for (std::int64_t i = 0; i < options.tokens; ++i) {
      const auto ids = draw_ids(random, config.vocab_size, 1);
      const auto token = Clock::now();
      decoder.append(state, ids);
      seconds.push_back(since(token));
    }
    rows.push_back({context, prefill, median(seconds), per_token(state.times(), options.tokens), state.memory()});
  }
  return rows;
}

double bench_weight_reading(const Decoder::WeightBytes& bytes, std::uint64_t seed) {
  constexpr int kTokens = 200;
  const auto words = [](std::int64_t count) { return static_cast<std::size_t>(count / 8); };
  std::vector<std::uint64_t> memory(words(bytes.all()) + 1, 1);
  Random random(seed);
  std::vector<double> seconds;
  volatile std::uint64_t sink = 0;  // keeps the reading
  for (int token = 0; token < kTokens; ++token) {
    std::vector<std::size_t> experts;
    for (std::int64_t i = 0; i < bytes.experts_token; ++i)
      experts.push_back(words(bytes.dense) +
                        random.below(static_cast<std::uint64_t>(bytes.experts)) * words(bytes.expert));
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(thread_count()));
    const auto parts = static_cast<std::int64_t>(sums.size());
    const auto begin = Clock::now();
    parallel_for(parts, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = first; part < last; ++part) {
        const auto share = [&](std::size_t at, std::size_t size) {
          const auto p = static_cast<std::size_t>(part), n = sums.size();
          sums[p] += sum_of(memory, at + size * p / n, at + size * (p + 1) / n);
        };
        share(0, words(bytes.dense));
        for (const std::size_t at : experts) share(at, words(bytes.expert));
      }
    });
    seconds.push_back(since(begin));
    for (const std::uint64_t sum : sums) sink = sink + sum;
  }
  return median(seconds);
}

double bench_training_step(const Transformer& model, std::int64_t batch, std::int64_t length, DType compute,
                           std::int64_t steps) {
  Random random(1);
  const auto ids = draw_ids(random, model.config().vocab_size, batch * (length + 1));
  const Tensor inputs = Tensor::from(std::span(ids).first(static_cast<std::size_t>(batch * length)), {batch, length});
  const Tensor targets = Tensor::from(std::span(ids).subspan(static_cast<std::size_t>(batch)), {batch * length});
  const Tensor weights = Tensor::full({batch * length}, 1.0f / static_cast<float>(batch * length));
  ForwardOptions options;
  options.compute = compute;
  double least = 0;
  for (std::int64_t step = 0; step <= steps; ++step) {  // the first one warms up
    const auto begin = Clock::now();
    const ForwardResult result = model.forward(inputs, options);
    backward(model.loss(result.hidden, targets, weights).total);
    const double taken = since(begin);
    if (step == 1 || (step > 1 && taken < least)) least = taken;
    for (const Parameter& item : model.parameters().all()) item.value.clear_grad();
  }
  return least;
}

Json decode_bench_json(const std::vector<DecodeBenchRow>& rows, const Decoder::WeightBytes& bytes, double reading) {
  Json list = Json::array();
  for (const DecodeBenchRow& row : rows)
    list.push_back(Json::object({{"context", row.context},
                                 {"prefill_s", row.prefill_seconds},
                                 {"token_s", row.token_seconds},
                                 {"sliding_s", row.times.sliding},
                                 {"csa_s", row.times.csa},
                                 {"hca_s", row.times.hca},
                                 {"indexer_s", row.times.indexer},
                                 {"latent_s", row.times.latent},
                                 {"window_bytes", row.memory.window},
                                 {"csa_bytes", row.memory.csa},
                                 {"hca_bytes", row.memory.hca},
                                 {"indexer_bytes", row.memory.indexer},
                                 {"latent_bytes", row.memory.latent},
                                 {"cache_bytes", row.memory.sum()}}));
  return Json::object({{"weight_bytes", bytes.all()},
                       {"weight_bytes_token", bytes.token()},
                       {"reading_s", reading},
                       {"bound_share", rows.empty() ? 0.0 : reading / rows.front().token_seconds},
                       {"rows", list}});
}

std::string decode_bench_table(const std::vector<DecodeBenchRow>& rows, const Decoder::WeightBytes& bytes,
                               double reading) {
  constexpr double kMiB = 1024.0 * 1024.0;
  char line[256];
  std::string text;
  const auto add = [&](auto... values) {
    std::snprintf(line, sizeof line, values...);
    text += line;
  };
  const auto mib = [](std::int64_t count) { return static_cast<double>(count) / kMiB; };
  add("weights %.1f MiB, %.1f of them read a token: %.3f ms at best, %.1f GB/s; a token takes %.3f ms, %.0f%% of "
      "it\n\n",
      mib(bytes.all()), mib(bytes.token()), 1e3 * reading, static_cast<double>(bytes.token()) / reading / 1e9,
      1e3 * rows.front().token_seconds, 100 * reading / rows.front().token_seconds);
  add("%9s %10s %9s | %8s %8s %8s %8s ms | %8s %8s %8s %8s MiB\n", "context", "prefill s", "token ms", "window", "CSA",
      "HCA", "indexer", "window", "CSA", "HCA", "indexer");
  for (const DecodeBenchRow& row : rows)
    add("%9lld %10.1f %9.3f | %8.3f %8.3f %8.3f %8.3f    | %8.2f %8.2f %8.2f %8.2f\n",
        static_cast<long long>(row.context), row.prefill_seconds, 1e3 * row.token_seconds, 1e3 * row.times.sliding,
        1e3 * row.times.csa, 1e3 * row.times.hca, 1e3 * row.times.indexer, mib(row.memory.window), mib(row.memory.csa),
        mib(row.memory.hca), mib(row.memory.indexer));
  return text;
}

}  // namespace orrery::pipeline
