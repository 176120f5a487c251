#include "core/train/trainer.h"

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "core/autograd/autograd.h"
#include "core/base/log.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/io/fields.h"
#include "core/io/json.h"
#include "core/io/parameters_file.h"

namespace orrery {

namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

// Prepares batches ahead on its own threads; hands them out in order.
class Trainer::Prefetcher {
 public:
  Prefetcher(std::shared_ptr<const BatchSource> source, std::uint64_t first, std::int64_t threads)
      : source_(std::move(source)),
        threads_(static_cast<std::uint64_t>(std::max<std::int64_t>(1, threads))),
        next_out_(first),
        next_in_(first) {
    for (std::uint64_t i = 0; i < threads_; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Batch next() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ready_.count(next_out_) > 0 || error_; });
    if (error_) std::rethrow_exception(error_);
    Batch batch = std::move(ready_[next_out_]);
    ready_.erase(next_out_++);
    lock.unlock();
    wake_.notify_all();
    return batch;
  }

 private:
  void work() {
    set_thread_count(1);  // this thread's own parallel regions: the cores belong to the training step
    const std::uint64_t ahead = 4 * threads_;
    for (;;) {
      std::uint64_t index;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return closing_ || next_in_ < next_out_ + ahead; });
        if (closing_) return;
        index = next_in_++;
      }
      try {
        Batch batch = source_->batch(index);
        const std::lock_guard lock(mutex_);
        ready_[index] = std::move(batch);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
      wake_.notify_all();
    }
  }

  std::shared_ptr<const BatchSource> source_;
  const std::uint64_t threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::uint64_t, Batch> ready_;
  std::uint64_t next_out_, next_in_;
  bool closing_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

TrainConfig read_train_config(const Fields& fields) {
  TrainConfig config;
  const Fields train = fields.object("train");
  config.steps = train.integer("steps", {1, 1'000'000'000});
  config.accumulate = train.integer_or("accumulate", config.accumulate, {1, 4096});
  config.warmup_steps = train.integer_or("warmup_steps", config.warmup_steps, {0, 1'000'000'000});
  config.decay_fraction = train.number_or("decay_fraction", config.decay_fraction, {0, 1});
  config.min_lr_ratio = train.number_or("min_lr_ratio", config.min_lr_ratio, {0, 1});
  config.clip_norm = train.number_or("clip_norm", config.clip_norm, {0, 1e9});
  config.ema = train.number_or("ema", config.ema, {0, 0.999999});
  config.log_every = train.integer_or("log_every", config.log_every, {1, 1'000'000});
  config.checkpoint_seconds = train.number_or("checkpoint_seconds", config.checkpoint_seconds, {1, 1e9});
  config.validate_every = train.integer_or("validate_every", config.validate_every, {0, 1'000'000'000});
  config.validation_batches = train.integer_or("validation_batches", config.validation_batches, {1, 100000});
  config.data_threads = train.integer_or("data_threads", config.data_threads, {1, 64});
  config.settle_batches = train.integer_or("settle_batches", config.settle_batches, {0, 1'000'000});
  config.schedule_by_time = train.boolean_or("schedule_by_time", config.schedule_by_time);
  config.optimizer = read_optimizer_config(fields);
  return config;
}

double schedule_factor(const TrainConfig& config, std::int64_t step, double done) {
  const auto at = static_cast<double>(step) + 1;
  if (at <= static_cast<double>(config.warmup_steps)) return at / static_cast<double>(config.warmup_steps);
  const double left = 1 - std::max(done, static_cast<double>(step) / static_cast<double>(config.steps));
  if (config.decay_fraction <= 0 || left >= config.decay_fraction) return 1;
  return config.min_lr_ratio + (1 - config.min_lr_ratio) * std::max(0.0, left / config.decay_fraction);
}

float average_decay(const TrainConfig& config, std::int64_t step) {
  const auto at = static_cast<double>(step);
  return static_cast<float>(std::min(config.ema, (1 + at) / (10 + at)));
}

// One rank's batches of those of all.
class ShareOfRank : public BatchSource {
 public:
  ShareOfRank(std::shared_ptr<const BatchSource> source, const RankGroup& ranks)
      : source_(std::move(source)),
        first_(static_cast<std::uint64_t>(ranks.rank())),
        stride_(static_cast<std::uint64_t>(ranks.size())) {}
  Batch batch(std::uint64_t index) const override { return source_->batch(index * stride_ + first_); }

 private:
  std::shared_ptr<const BatchSource> source_;
  std::uint64_t first_, stride_;
};

Trainer::Trainer(Trainable& model, std::shared_ptr<const BatchSource> data, TrainConfig config, std::string folder,
                 std::shared_ptr<RankGroup> ranks)
    : model_(model),
      all_data_(std::move(data)),
      data_(ranks ? std::make_shared<ShareOfRank>(all_data_, *ranks) : all_data_),
      config_(std::move(config)),
      folder_(std::move(folder)),
      ranks_(std::move(ranks)),
      optimizer_(model.parameters(), config_.optimizer) {
  ORRERY_CHECK(!ranks_ || config_.accumulate % ranks_->size() == 0, "train.accumulate is ", config_.accumulate,
               ", expected a multiple of the ", ranks_ ? ranks_->size() : 1, " ranks that share a step");
  ORRERY_CHECK(!config_.schedule_by_time || config_.max_seconds > 0,
               "train.schedule_by_time needs a time: --max-seconds");
  std::filesystem::create_directories(std::filesystem::path(folder_) / "state");
  if (config_.ema > 0)
    for (const Parameter& item : model_.parameters().all()) averages_.push_back(item.value.clone());
  load_state();
}

Trainer::~Trainer() = default;

void Trainer::add_validation(const std::string& name, std::shared_ptr<const BatchSource> data) {
  validation_.push_back({name, std::move(data), {}});
}

// Of the time, where the schedule goes by it. All ranks take their mean: with clocks of their own their weights would
// part.
double Trainer::share_done() {
  if (!config_.schedule_by_time) return 0;
  double share = (now_seconds() - begin_) / config_.max_seconds;
  if (!ranks_) return share;
  ranks_->sum(std::span(&share, 1));
  return share / static_cast<double>(ranks_->size());
}

StepLoss Trainer::train_step() {
  StepLoss total;
  double loss_sum = 0;
  model_.parameters().clear_grads();
  for (std::int64_t part = 0; part < own_batches(); ++part) {
    const double asked = now_seconds();
    const Batch batch = prefetcher_->next();
    waited_ += now_seconds() - asked;
    StepLoss step = model_.loss(batch, step_, /*training=*/true);
    const float share = 1.0f / static_cast<float>(config_.accumulate);
    backward(step.loss, Tensor::full(step.loss.shape(), share, step.loss.dtype(), step.loss.device()));
    loss_sum += step.loss.item() / static_cast<double>(config_.accumulate);
    if (total.metrics.empty()) {
      total.metrics = std::move(step.metrics);
      for (auto& [name, value] : total.metrics) value /= static_cast<double>(config_.accumulate);
    } else {
      for (std::size_t i = 0; i < step.metrics.size(); ++i)
        total.metrics[i].second += step.metrics[i].second / static_cast<double>(config_.accumulate);
    }
  }
  if (ranks_) sum_over_ranks(loss_sum, total.metrics);
  ORRERY_ASSERT(std::isfinite(loss_sum), "[train] the loss is ", loss_sum, " at step ", step_,
                "; the last checkpoint in ", folder_, " is intact: lower the learning rate");
  const double factor = schedule_factor(config_, step_, share_done());
  const double norm = optimizer_.step(factor, config_.clip_norm);
  model_.after_step(step_, factor);
  if (!averages_.empty()) {
    update_averages(model_.parameters(), averages_, average_decay(config_, step_));
  }
  ++step_;
  total.loss = Tensor::full({1}, static_cast<float>(loss_sum));
  total.metrics.emplace_back("lr", factor * config_.optimizer.lr);
  total.metrics.emplace_back("grad_norm", norm);
  return total;
}

// Gradients, loss and metrics of this rank's batches become those of all. A gradient that only some ranks have (no
// token of theirs reached the parameter) counts as zero on the others.
void Trainer::sum_over_ranks(double& loss, Metrics& metrics) {
  const auto& items = model_.parameters().all();
  std::vector<float> present;
  for (const Parameter& item : items) present.push_back(item.value.grad().defined() ? 1.0f : 0.0f);
  ranks_->sum(std::span(present));
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (present[i] == 0) continue;
    const Tensor grad = items[i].value.grad();
    const Tensor here = grad.defined() ? grad.to(Device::cpu) : Tensor::zeros(items[i].value.shape());
    ORRERY_ASSERT(here.dtype() == DType::f32, "[train] the gradient of ", items[i].name, " is ", name_of(here.dtype()),
                  ", expected f32");
    ranks_->sum(std::span(here.data<float>(), static_cast<std::size_t>(here.numel())));
    items[i].value.set_grad(here.to(items[i].value.device()));
  }
  std::vector<double> values{loss};
  for (const auto& metric : metrics) values.push_back(metric.second);
  ranks_->sum(std::span(values));
  loss = values[0];
  for (std::size_t k = 0; k < metrics.size(); ++k) metrics[k].second = values[k + 1];
  model_.sum_over(*ranks_);
}

bool Trainer::any_rank(bool mine) {
  if (!ranks_) return mine;
  float any = mine ? 1.0f : 0.0f;
  ranks_->sum(std::span(&any, 1));
  return any > 0;
}

double Trainer::run(const std::atomic<bool>* stop) {
  prefetcher_ =
      std::make_unique<Prefetcher>(data_, static_cast<std::uint64_t>(step_ * own_batches()), config_.data_threads);
  if (!leads()) Progress::set_enabled(false);
  Progress progress("training", "steps", config_.schedule_by_time ? 0 : config_.steps);
  begin_ = now_seconds();
  const double seconds_before = seconds_;
  double last_checkpoint = begin_, loss = 0;
  bool over = step_ >= config_.steps;
  while (step_ < config_.steps) {
    const StepLoss result = train_step();
    loss = result.loss.item();
    const double now = now_seconds();
    seconds_ = seconds_before + now - begin_;
    progress.update(step_, "loss " + short_number(loss));
    if (leads() && (step_ % config_.log_every == 0 || step_ == config_.steps)) log_line("train", loss, result.metrics);
    if (leads() && config_.validate_every > 0 && step_ % config_.validate_every == 0) validate();
    const bool out_of_time = config_.max_seconds > 0 && now - begin_ >= config_.max_seconds;
    const bool stopped = any_rank(out_of_time || (stop && stop->load()));
    over = step_ == config_.steps || (out_of_time && config_.schedule_by_time);
    if (leads() && (stopped || step_ == config_.steps || now - last_checkpoint >= config_.checkpoint_seconds)) {
      write_checkpoint();
      last_checkpoint = now_seconds();
    }
    if (stopped) break;
  }
  prefetcher_.reset();
  if (over && leads() && config_.settle_batches > 0) settle();
  return loss;
}

// What users load changes; what a run goes on from does not.
void Trainer::settle() {
  const auto& items = model_.parameters().all();
  std::vector<Tensor> kept;
  for (const Parameter& item : items) kept.push_back(item.value.clone());
  for (std::size_t i = 0; i < averages_.size(); ++i) Tensor(items[i].value).copy_from(averages_[i]);
  const std::int64_t first = step_ * config_.accumulate;  // the batches after those of all ranks
  model_.settle([&](std::int64_t i) { return all_data_->batch(static_cast<std::uint64_t>(first + i)); },
                config_.settle_batches);
  model_.save(folder_);
  for (std::size_t i = 0; i < kept.size(); ++i) Tensor(items[i].value).copy_from(kept[i]);
}

void Trainer::swap_in_averages() {
  if (averages_.empty()) return;
  const auto& items = model_.parameters().all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Tensor kept = items[i].value.clone();
    Tensor value = items[i].value;
    value.copy_from(averages_[i]);
    averages_[i].copy_from(kept);
  }
}

void Trainer::validate() {
  const NoGrad guard;
  swap_in_averages();
  for (auto& [name, source, batches] : validation_) {
    double loss = 0;
    Metrics sums;
    for (std::int64_t i = 0; i < config_.validation_batches; ++i) {
      if (static_cast<std::int64_t>(batches.size()) == i)
        batches.push_back(source->batch(static_cast<std::uint64_t>(i)));
      const StepLoss result = model_.loss(batches[static_cast<std::size_t>(i)], step_, /*training=*/false);
      loss += result.loss.item() / static_cast<double>(config_.validation_batches);
      if (sums.empty())
        sums.assign(result.metrics.begin(), result.metrics.end());
      else
        for (std::size_t k = 0; k < sums.size(); ++k) sums[k].second += result.metrics[k].second;
    }
    for (auto& [metric, value] : sums) value /= static_cast<double>(config_.validation_batches);
    log_line(name, loss, sums);
  }
  swap_in_averages();
}

void Trainer::log_line(const std::string& kind, double loss, const Metrics& metrics) {
  Json line =
      Json::object({{"step", step_}, {"set", kind}, {"loss", loss}, {"seconds", seconds_}, {"waited", waited_}});
  for (const auto& [name, value] : metrics) line.set(name, std::isfinite(value) ? Json(value) : Json());
  std::ofstream log(std::filesystem::path(folder_) / "log.jsonl", std::ios::app);
  log << line.dump() << "\n";
  log_debug(line.dump());
}

void Trainer::write_checkpoint() {
  const std::filesystem::path state = std::filesystem::path(folder_) / "state";
  std::vector<NamedTensor> tensors;
  const auto& items = model_.parameters().all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    tensors.push_back({"weights." + items[i].name, items[i].value});
    if (!averages_.empty()) tensors.push_back({"average." + items[i].name, averages_[i]});
  }
  optimizer_.append_state(tensors);
  // One file, replaced atomically: a kill at any moment leaves the old state or the new one.
  save_tensors((state / "state.safetensors").string(), tensors,
               {{"step", std::to_string(step_)}, {"seconds", std::to_string(seconds_)}});
  swap_in_averages();
  model_.save(folder_);
  swap_in_averages();
}

void Trainer::load_state() {
  const std::filesystem::path file = std::filesystem::path(folder_) / "state" / "state.safetensors";
  if (!std::filesystem::exists(file)) return;
  const TensorFile state = open_tensors(file.string());
  const auto& items = model_.parameters().all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    state.load_into("weights." + items[i].name, items[i].value);
    if (!averages_.empty()) state.load_into("average." + items[i].name, averages_[i]);
  }
  optimizer_.load_state(state);
  step_ = std::stoll(state.metadata("step"));
  seconds_ = std::stod(state.metadata("seconds"));
}

}  // namespace orrery
