#include "core/train/language_training.h"

#include <algorithm>

#include "core/model/checkpoint.h"
#include "core/ops/elementwise.h"
#include "core/ops/loss.h"

namespace orrery {

namespace {

// Position t predicts what stands `ahead` further on; the last ones of a sequence predict nothing.
struct Targets {
  Tensor ids, weights;
};
Targets shifted(const Tensor& targets, const Tensor& weights, std::int64_t ahead) {
  const std::int64_t batch = targets.dim(0), length = targets.dim(1);
  Targets result{Tensor::full({batch * length}, -1, DType::i32), Tensor::zeros({batch * length})};
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t t = 0; t + ahead < length; ++t) {
      result.ids.data<std::int32_t>()[b * length + t] = targets.data<std::int32_t>()[b * length + t + ahead];
      result.weights.data<float>()[b * length + t] = weights.data<float>()[b * length + t + ahead];
    }
  return result;
}

double mean_where(const Tensor& losses, const Targets& targets, float least) {
  double sum = 0, count = 0;
  for (std::int64_t i = 0; i < losses.numel(); ++i) {
    if (targets.ids.data<std::int32_t>()[i] < 0 || targets.weights.data<float>()[i] < least) continue;
    sum += losses.data<float>()[i];
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

// Mean load over the largest load, averaged over scored layers.
double utilisation(const std::vector<ExpertLoad>& loads) {
  double sum = 0, layers = 0;
  for (const ExpertLoad& load : loads) {
    if (load.kind != MlpKind::moe) continue;
    double total = 0, most = 0;
    for (const std::int64_t tokens : load.tokens) {
      total += static_cast<double>(tokens);
      most = std::max(most, static_cast<double>(tokens));
    }
    sum += most > 0 ? total / static_cast<double>(load.tokens.size()) / most : 1;
    layers += 1;
  }
  return layers > 0 ? sum / layers : 1;
}

}  // namespace

StepLoss LanguageTraining::loss(const Batch& batch, std::int64_t step, bool training) {
  const Tensor &ids = batch.tensors.at(0), &targets = batch.tensors.at(1), &weights = batch.tensors.at(2);
  ForwardOptions options;
  options.compute = config_.compute;
  options.checkpoint = config_.checkpoint && training;
  options.mtp = training && config_.mtp_weight > 0;
  options.balance = training && config_.balance_weight > 0;
  if (training)
    options.indexer = step < config_.indexer_warmup ? IndexerTraining::dense_warmup : IndexerTraining::sparse;
  ForwardResult forward = model_.forward(ids, options);

  const Targets next = shifted(targets, weights, 1);
  const ops::HeadLoss head =
      ops::linear_cross_entropy(forward.hidden, model_.weights().lm_head, next.ids, next.weights);
  StepLoss result;
  result.loss = head.total;
  result.metrics = {{"loss_token", mean_where(head.losses, next, 0)},
                    {"loss_moving", mean_where(head.losses, next, 0.5f)},
                    {"utilisation", utilisation(forward.loads)}};
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
    const ops::HeadLoss mtp =
        ops::linear_cross_entropy(forward.mtp_hidden, model_.weights().lm_head, second.ids, second.weights);
    result.metrics.emplace_back("loss_mtp", mtp.total.item());
    result.loss = ops::add(result.loss, ops::scale(mtp.total, static_cast<float>(config_.mtp_weight)));
  }
  if (training) {
    if (loads_.empty()) {
      loads_ = std::move(forward.loads);
    } else {
      for (std::size_t i = 0; i < loads_.size(); ++i)
        for (std::size_t e = 0; e < loads_[i].tokens.size(); ++e) loads_[i].tokens[e] += forward.loads[i].tokens[e];
    }
  }
  return result;
}

void LanguageTraining::after_step(std::int64_t) {
  model_.update_router_bias(loads_, static_cast<float>(config_.bias_rate));
  loads_.clear();
}

void LanguageTraining::save(const std::string& folder) const { save_model(model_, folder, StoredAs::bf16); }

}  // namespace orrery
