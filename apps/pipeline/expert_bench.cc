#include "apps/pipeline/expert_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "core/autograd/autograd.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/io/files.h"
#include "core/ops/loss.h"
#include "core/text/tokenizer.h"
#include "core/train/expert_load.h"
#include "core/train/trainer.h"

namespace orrery::pipeline {

namespace {

// Every so many blocks of so many tokens are not trained on.
constexpr std::size_t kHeldOut = 4, kBlock = 1024;

std::vector<std::string> read_texts(const std::vector<std::string>& places) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& place : places) {
    ORRERY_CHECK(std::filesystem::exists(place), "--text ", place, " does not exist");
    if (!std::filesystem::is_directory(place)) {
      paths.emplace_back(place);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // folders list in any order
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::string content = read_file(path);
    if (!content.empty() && content.find('\0') == std::string::npos &&
        find_invalid_utf8(content) == std::string_view::npos)
      texts.push_back(std::move(content));
  }
  return texts;
}

Tokenizer learn_tokenizer(const std::vector<std::string>& texts, std::int64_t vocabulary_size) {
  std::size_t at = 0;
  const auto next = [&](std::string& piece) {
    if (at == texts.size()) return false;
    piece = texts[at++];
    return true;
  };
  TokenizerTraining learning;
  learning.vocabulary_size = vocabulary_size;
  return Tokenizer::train(next, learning);
}

struct Tokens {
  std::vector<std::int32_t> trained, held_out;
};

Tokens encode_all(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  Tokens tokens;
  std::size_t count = 0;
  for (const std::string& text : texts)
    for (const std::int32_t id : tokenizer.encode(text, {false, true}))
      (count++ / kBlock % kHeldOut == kHeldOut - 1 ? tokens.held_out : tokens.trained).push_back(id);
  return tokens;
}

// A step's batch: sequences from anywhere in the text.
Batch draw(const std::vector<std::int32_t>& ids, const ExpertBenchOptions& options, std::int64_t step) {
  Random random(options.seed, static_cast<std::uint64_t>(step));
  const Tensor drawn = Tensor::empty({options.batch, options.length}, DType::i32);
  for (std::int64_t b = 0; b < options.batch; ++b) {
    const auto first = random.below(ids.size() - static_cast<std::size_t>(options.length));
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(first), options.length,
                drawn.data<std::int32_t>() + b * options.length);
  }
  return {{drawn, drawn, Tensor::full(drawn.shape(), 1)}};
}

// Leaves the averaged weights and settled biases in the model, as a training writes them.
void train(Transformer& model, const std::vector<std::int32_t>& ids, const ExpertBenchOptions& options,
           const std::function<void(std::int64_t)>& update) {
  TrainConfig schedule;
  schedule.steps = options.steps;
  schedule.warmup_steps = options.steps / 20;
  OptimizerConfig optimizer_config;
  optimizer_config.lr = options.lr;
  Optimizer optimizer(model.parameters(), optimizer_config);
  LanguageTraining training(model, options.training);
  std::vector<Tensor> averages;
  for (const Parameter& item : model.parameters().all()) averages.push_back(item.value.clone());
  for (std::int64_t step = 0; step < options.steps; ++step) {
    const StepLoss loss = training.loss(draw(ids, options, step), step, /*training=*/true);
    backward(loss.loss);
    const double factor = schedule_factor(schedule, step);
    optimizer.step(factor, schedule.clip_norm);
    for (const Parameter& item : model.parameters().all()) item.value.clear_grad();
    training.after_step(step, factor);
    update_averages(model.parameters(), averages, average_decay(schedule, step));
    if (update) update(step + 1);
  }
  for (std::size_t i = 0; i < averages.size(); ++i) Tensor(model.parameters().all()[i].value).copy_from(averages[i]);
  training.settle([&](std::int64_t i) { return draw(ids, options, options.steps + i); }, options.settle_batches);
}

// Sequences evenly spaced over the whole text, so that all kinds of files are among them.
std::vector<std::int32_t> spread(const std::vector<std::int32_t>& ids, std::int64_t length, std::int64_t wanted) {
  const std::size_t count = static_cast<std::size_t>(wanted / length), size = static_cast<std::size_t>(length);
  std::vector<std::int32_t> taken;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = count > 1 ? i * (ids.size() - size) / (count - 1) : 0;
    taken.insert(taken.end(), ids.begin() + static_cast<std::ptrdiff_t>(first),
                 ids.begin() + static_cast<std::ptrdiff_t>(first + size));
  }
  return taken;
}

double unigram_loss(const std::vector<std::int32_t>& trained, std::span<const std::int32_t> measured,
                    std::int64_t vocab) {
  std::vector<double> counts(static_cast<std::size_t>(vocab), 1.0);
  for (const std::int32_t id : trained) counts[static_cast<std::size_t>(id)] += 1;
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double loss = 0;
  for (const std::int32_t id : measured) loss -= std::log(counts[static_cast<std::size_t>(id)] / total);
  return loss / static_cast<double>(measured.size());
}

void add_loads(std::vector<ExpertBenchRow>& rows, const std::vector<ExpertLoad>& loads) {
  for (const ExpertLoad& load : loads) {
    if (load.tokens.empty()) continue;  // a dense layer
    auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& other) { return other.layer == load.layer; });
    if (row == rows.end())
      row = rows.insert(row, {load.layer, load.kind, std::vector<std::int64_t>(load.tokens.size())});
    for (std::size_t e = 0; e < load.tokens.size(); ++e) row->tokens[e] += load.tokens[e];
  }
}

void measure(const Transformer& model, std::span<const std::int32_t> ids, const ExpertBenchOptions& options,
             ExpertBenchResult& result) {
  const NoGrad guard;
  const std::int64_t size = options.batch * options.length, batches = static_cast<std::int64_t>(ids.size()) / size;
  ForwardOptions forward;
  forward.compute = options.training.compute;
  const Tensor weights = Tensor::full({size}, 1);
  for (std::int64_t i = 0; i < batches; ++i) {
    const auto part = ids.subspan(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size));
    std::vector<std::int32_t> next(part.begin() + 1, part.end());
    next.push_back(-1);
    for (std::int64_t b = 1; b < options.batch; ++b) next[static_cast<std::size_t>(b * options.length - 1)] = -1;
    const ForwardResult found = model.forward(Tensor::from(part, {options.batch, options.length}), forward);
    add_loads(result.rows, found.loads);
    const ops::HeadLoss loss =
        ops::linear_cross_entropy(found.hidden, model.head(), Tensor::from(next, {size}), weights);
    result.loss += double{loss.total.item()} / static_cast<double>(batches);
  }
  result.tokens = batches * size;
}

// Mean and least utilisation of scored layers.
std::pair<double, double> summary(const ExpertBenchResult& result) {
  double sum = 0, least = 1, layers = 0;
  for (const ExpertBenchRow& row : result.rows) {
    if (!is_scored(row.kind)) continue;
    const double value = expert_utilisation(row.tokens);
    sum += value, layers += 1, least = std::min(least, value);
  }
  return {layers > 0 ? sum / layers : 1, least};
}

std::int64_t dropped(const ExpertBenchResult& result) {
  std::int64_t missing = 0;
  for (const ExpertBenchRow& row : result.rows)
    missing +=
        result.tokens * result.per_token - std::accumulate(row.tokens.begin(), row.tokens.end(), std::int64_t{0});
  return missing;
}

}  // namespace

ExpertBenchResult bench_experts(const ModelConfig& config, const ExpertBenchOptions& options,
                                const std::function<void(std::int64_t)>& update) {
  ORRERY_CHECK(options.steps >= 1 && options.batch >= 1 && options.length >= 2 && options.tokens >= 1,
               "--steps, --batch, --length and --tokens are ", options.steps, ", ", options.batch, ", ", options.length,
               " and ", options.tokens, ", expected at least 1, 1, 2 and 1");
  const std::vector<std::string> texts = read_texts(options.text);
  const Tokenizer tokenizer = learn_tokenizer(texts, config.vocab_size);
  const auto [trained, held_out] = encode_all(tokenizer, texts);
  const std::int64_t size = options.batch * options.length, wanted = (options.tokens + size - 1) / size * size;
  ORRERY_CHECK(static_cast<std::int64_t>(trained.size()) > options.length, "--text has ", trained.size(),
               " tokens to train on, expected more than --length = ", options.length);
  ORRERY_CHECK(static_cast<std::int64_t>(held_out.size()) >= wanted, "--text leaves ", held_out.size(),
               " tokens to measure (every fourth block of 1024), expected at least ", wanted);
  Random random(options.seed);
  Transformer model(config, random);
  train(model, trained, options, update);
  ExpertBenchResult result;
  result.per_token = config.num_experts_per_tok;
  result.trained_tokens = options.steps * size;
  const std::vector<std::int32_t> measured = spread(held_out, options.length, wanted);
  measure(model, measured, options, result);
  result.unigram_loss = unigram_loss(trained, measured, config.vocab_size);
  return result;
}

Json expert_bench_json(const ExpertBenchResult& result) {
  Json rows = Json::array();
  for (const ExpertBenchRow& row : result.rows)
    rows.push_back(Json::object({{"layer", row.layer},
                                 {"kind", name_of(row.kind)},
                                 {"utilisation", expert_utilisation(row.tokens)},
                                 {"entropy", expert_entropy(row.tokens)},
                                 {"tokens", row.tokens}}));
  const auto [mean, least] = summary(result);
  return Json::object({{"tokens", result.tokens},
                       {"trained_tokens", result.trained_tokens},
                       {"loss", result.loss},
                       {"unigram_loss", result.unigram_loss},
                       {"scored_utilisation", mean},
                       {"scored_utilisation_least", least},
                       {"dropped", dropped(result)},
                       {"layers", rows}});
}

std::string expert_bench_table(const ExpertBenchResult& result) {
  char line[256];
  std::string text;
  const auto add = [&](auto... values) {
    std::snprintf(line, sizeof line, values...);
    text += line;
  };
  const auto [mean, least] = summary(result);
  add("%lld tokens of text not trained on, after %lld; loss %.3f (by frequency alone %.3f)\n\n",
      static_cast<long long>(result.tokens), static_cast<long long>(result.trained_tokens), result.loss,
      result.unigram_loss);
  add("%5s  %-8s %7s %11s %9s %9s %9s\n", "layer", "routing", "experts", "utilisation", "entropy", "least", "most");
  for (const ExpertBenchRow& row : result.rows) {
    const auto [low, high] = std::minmax_element(row.tokens.begin(), row.tokens.end());
    add("%5lld  %-8s %7zu %10.1f%% %9.4f %9lld %9lld\n", static_cast<long long>(row.layer), name_of(row.kind),
        row.tokens.size(), 100 * expert_utilisation(row.tokens), expert_entropy(row.tokens),
        static_cast<long long>(*low), static_cast<long long>(*high));
  }
  add("\nscored layers: utilisation %.1f%%, the least %.1f%%; %lld tokens dropped\n", 100 * mean, 100 * least,
      static_cast<long long>(dropped(result)));
  return text;
}

}  // namespace orrery::pipeline
