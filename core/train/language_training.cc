#include "core/train/language_training.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/checkpoint.h"
#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/loss.h"
#include "core/ops/shape.h"
#include "core/ops/softmax.h"
#include "core/train/expert_load.h"

namespace orrery {

namespace {

// Position t predicts what stands `ahead` further on; the last ones of a sequence predict nothing.
struct Targets {
  Tensor ids, weights;
};
Targets shifted(const Tensor& targets, const Tensor& weights, std::int64_t ahead) {
  const std::int64_t batch = targets.dim(0), length = targets.dim(1);
  Targets result{Tensor::full({batch * length}, -1, DType::i32), Tensor::zeros({batch * length})};
  const std::int64_t count = std::max<std::int64_t>(0, length - ahead);
  for (std::int64_t b = 0; b < batch; ++b) {
    std::copy_n(targets.data<std::int32_t>() + b * length + ahead, count, result.ids.data<std::int32_t>() + b * length);
    std::copy_n(weights.data<float>() + b * length + ahead, count, result.weights.data<float>() + b * length);
  }
  return result;
}

// Mean losses of all tokens and, for a video model, of its codes: in a clip's first latent frame, where the code one
// latent frame before is the same, and where it is another.
Metrics mean_losses(const Tensor& losses, const Targets& next, std::int64_t length, const ModelConfig& config) {
  enum Kind { token, first, still, moving, kinds };
  const char* const names[] = {"loss_token", "loss_first", "loss_still", "loss_moving"};
  double sums[kinds] = {}, counts[kinds] = {};
  const auto* id = next.ids.data<std::int32_t>();
  const std::int64_t group = config.video.group(), first_code = config.first_code();
  const auto count = [&](Kind kind, double loss) { sums[kind] += loss, counts[kind] += 1; };
  const float* of = losses.data<float>();
  const bool video = config.video.codes > 0;
  for (std::int64_t i = 0, t = 0; i < losses.numel(); ++i, t = t + 1 == length ? 0 : t + 1) {
    if (id[i] < 0) continue;
    const double loss = of[i];
    count(token, loss);
    if (!video || id[i] < first_code) continue;
    const std::int32_t before = t >= group ? id[i - group] : -1;
    count(before < first_code ? first : (before == id[i] ? still : moving), loss);
  }
  Metrics metrics;
  for (int kind = 0; kind < (config.video.codes > 0 ? kinds : first); ++kind)
    metrics.emplace_back(names[kind], sums[kind] / std::max(1.0, counts[kind]));
  return metrics;
}

// Mean load over the largest load, averaged over scored layers.
double utilisation(const std::vector<ExpertLoad>& loads) {
  double sum = 0, layers = 0;
  for (const ExpertLoad& load : loads) {
    if (!is_scored(load.kind)) continue;
    sum += expert_utilisation(load.tokens);
    layers += 1;
  }
  return layers > 0 ? sum / layers : 1;
}

}  // namespace

// ids [B, S] with some codes as the model draws them at temperature 1; which and what depends on the step alone.
Tensor LanguageTraining::with_own_draws(const Tensor& ids, const Tensor& targets, std::int64_t step) const {
  const ModelConfig& config = model_.config();
  const std::int64_t length = ids.dim(1), first = config.first_code(), codes = config.table_codes();
  Random random(static_cast<std::uint64_t>(step), 0x6F776E);
  std::vector<std::int32_t> places;  // rows of hidden that predict what is replaced
  std::vector<float> uniforms;
  for (std::int64_t b = 0; b < ids.dim(0); ++b) {
    const double share = random.uniform(0, config_.own_draws);
    for (std::int64_t t = b * length + 1; t < (b + 1) * length; ++t) {
      if (targets.data<std::int32_t>()[t] < first || !random.chance(share)) continue;
      places.push_back(static_cast<std::int32_t>(t - 1));
      uniforms.push_back(static_cast<float>(random.uniform()));
    }
  }
  if (places.empty()) return ids;
  const NoGrad guard;
  ForwardOptions options;
  options.compute = config_.compute;
  const auto count = static_cast<std::int64_t>(places.size());
  const Tensor hidden = model_.forward(ids, options).hidden,
               logits = model_.logits(ops::index_select(hidden, 0, Tensor::from(places, {count}))),
               own =
                   ops::draw(ops::narrow(logits, 1, first, codes), Tensor::from(uniforms, {count}).to(logits.device()))
                       .to(Device::cpu),
               drawn = ids.clone();
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::int32_t& id = drawn.data<std::int32_t>()[places[i] + 1];
    // Extra digits stay.
    id += static_cast<std::int32_t>(first) + own.data<std::int32_t>()[i] - config.table_row(id);
  }
  return drawn;
}

StepLoss LanguageTraining::loss(const Batch& batch, std::int64_t step, bool training) {
  const Tensor& targets = batch.tensors.at(1);
  const bool own = training && config_.own_draws > 0 && model_.config().video.codes > 0;
  const Tensor ids = own ? with_own_draws(batch.tensors.at(0), targets, step) : batch.tensors.at(0);
  const Tensor& weights = batch.tensors.at(2);
  ForwardOptions options;
  options.compute = config_.compute;
  options.checkpoint = config_.checkpoint && training;
  options.mtp = training && config_.mtp_weight > 0;
  options.spread = training;
  options.balance = training && config_.balance_weight > 0;
  if (training) options.indexer = step < config_.indexer_warmup ? IndexerTraining::dense_warmup : config_.indexer;
  ForwardResult forward = model_.forward(ids, options);

  const Targets next = shifted(targets, weights, 1);
  const ops::HeadLoss head = model_.loss(forward.hidden, next.ids, next.weights);
  StepLoss result;
  result.loss = head.total;
  result.metrics = mean_losses(head.losses.to(Device::cpu), next, ids.dim(1), model_.config());
  result.metrics.emplace_back("utilisation", utilisation(forward.loads));
  if (forward.indexer_loss.defined()) {
    result.metrics.emplace_back("loss_indexer", forward.indexer_loss.item());
    result.loss = ops::add(result.loss, ops::scale(forward.indexer_loss, static_cast<float>(config_.indexer_weight)));
  }
  if (forward.balance_loss.defined()) {
    result.metrics.emplace_back("loss_balance", forward.balance_loss.item());
    result.loss = ops::add(result.loss, ops::scale(forward.balance_loss, static_cast<float>(config_.balance_weight)));
  }
  if (forward.mtp_hidden.defined()) {
    const Targets second = shifted(targets, weights, 2);
    const ops::HeadLoss mtp = model_.loss(forward.mtp_hidden, second.ids, second.weights);
    result.metrics.emplace_back("loss_mtp", mtp.total.item());
    result.loss = ops::add(result.loss, ops::scale(mtp.total, static_cast<float>(config_.mtp_weight)));
  }
  if (training) {
    if (loads_.empty()) {
      loads_ = std::move(forward.loads);
    } else {
      for (std::size_t i = 0; i < loads_.size(); ++i) {
        for (std::size_t e = 0; e < loads_[i].tokens.size(); ++e) loads_[i].tokens[e] += forward.loads[i].tokens[e];
        loads_[i].squares += forward.loads[i].squares;
      }
    }
  }
  return result;
}

void LanguageTraining::sum_over(RankGroup& ranks) {
  for (ExpertLoad& load : loads_) {
    std::vector<double> values(load.tokens.begin(), load.tokens.end());
    values.push_back(load.squares);
    ranks.sum(values);
    load.squares = values.back();
    for (std::size_t e = 0; e < load.tokens.size(); ++e) load.tokens[e] = static_cast<std::int64_t>(values[e]);
  }
}

void LanguageTraining::after_step(std::int64_t, double schedule) {
  model_.update_router_bias(loads_, static_cast<float>(config_.bias_rate * std::sqrt(schedule)));
  loads_.clear();
}

void LanguageTraining::settle(const std::function<Batch(std::int64_t)>& batch, std::int64_t count) {
  if (count == 0) return;
  const NoGrad guard;
  ForwardOptions options;
  options.compute = config_.compute;
  options.spread = true;
  const std::vector<Tensor> biases = model_.router_biases();
  std::vector<Tensor> sums;
  for (const Tensor& bias : biases) sums.push_back(Tensor::zeros(bias.shape()));
  const std::int64_t first = count / 4;  // until then they are on their way
  for (std::int64_t i = 0; i < count; ++i) {
    model_.update_router_bias(model_.forward(batch(i).tensors.at(0), options).loads,
                              static_cast<float>(config_.bias_rate));
    if (i < first) continue;
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] = ops::add(sums[k], biases[k].to(Device::cpu));
  }
  for (std::size_t k = 0; k < sums.size(); ++k)
    Tensor(biases[k]).copy_from(ops::scale(sums[k], 1 / static_cast<float>(count - first)));
}

void LanguageTraining::save(const std::string& folder) const { save_model(model_, folder, StoredAs::bf16); }

}  // namespace orrery
