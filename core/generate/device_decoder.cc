#include "core/generate/device_decoder.h"

#include <algorithm>
#include <cmath>

#include "core/ops/backends.h"
#include "core/tensor/device.h"

namespace orrery::decode {

namespace {

template <class T>
Tensor buffer_of(std::int64_t count, Device device) {
  return Tensor::empty({count * static_cast<std::int64_t>(sizeof(T))}, DType::i8, device);
}

template <class T>
void upload(const std::vector<T>& values, const Tensor& to) {
  copy_bytes(to.raw(), to.device(), values.data(), Device::cpu, values.size() * sizeof(T));
}

template <class T>
std::vector<T> download(const void* from, Device device, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  copy_bytes(values.data(), Device::cpu, from, device, values.size() * sizeof(T));
  return values;
}

StepDraw draw_of(const Sampler& sampler, std::uint64_t position) {
  constexpr double kNever = 40;  // core/generate/sampler.cc
  const SamplingOptions& options = sampler.options();
  StepDraw draw;
  draw.seed = sampler.seed(), draw.position = position;
  draw.temperature = options.temperature, draw.top_p = options.top_p, draw.top_k = options.top_k;
  draw.least = options.min_p > 0 ? std::max(-kNever, std::log(options.min_p)) : -kNever;
  return draw;
}

}  // namespace

DeviceDecoder::DeviceDecoder(const Decoder::Packed& packed, Device device, const DeviceLimits& limits)
    : device_(device), limits_(limits), steps_(packed, device, limits) {
  tokens_ = buffer_of<StepToken>(limits.step_tokens, device),
  single_ = buffer_of<StepToken>(limits.step_tokens, device);
  draws_ = buffer_of<StepDraw>(limits.step_tokens, device);
  wanted_ = Tensor::empty({limits.step_tokens}, DType::i32, device);
}

// Growth doubles, so that it is copied seldom.
void DeviceDecoder::make_room(DecodeState::Caches& caches, std::int64_t tokens) {
  const DeviceWeights& weights = steps_.weights();
  DeviceSequence& sequence = caches.device;
  const std::int64_t unit = weights.cache.unit, wanted = (caches.length + tokens + unit - 1) / unit;
  if (!sequence.block.defined() || sequence.units < wanted) {
    const std::int64_t units = std::max({wanted, 2 * sequence.units, (limits_.sequence_tokens + unit - 1) / unit});
    Tensor block = Tensor::empty({weights.cache_floats(units)}, DType::f32, device_);
    const auto copy = [&](std::int64_t to, std::int64_t from, std::int64_t count) {
      if (count > 0)
        copy_bytes(floats(block) + to, device_, floats(sequence.block) + from, device_,
                   static_cast<std::size_t>(count) * sizeof(float));
    };
    if (sequence.block.defined()) {
      copy(0, 0, weights.cache.fixed);
      for (std::size_t i = 0; i + 1 < weights.parts.size(); ++i)
        copy(weights.cache.fixed + units * weights.parts[i], weights.cache.fixed + sequence.units * weights.parts[i],
             sequence.units * (weights.parts[i + 1] - weights.parts[i]));
    }
    sequence.block = std::move(block), sequence.units = units;
  }
  if (steps_.reserve(sequence.units)) recorded_.clear();
}

StepToken DeviceDecoder::token(const DecodeState::Caches& caches, std::int64_t at, std::int32_t id,
                               std::size_t first) const {
  return {floats(caches.device.block), static_cast<std::int32_t>(caches.device.units), static_cast<std::int32_t>(at),
          id, static_cast<std::int32_t>(first)};
}

float* DeviceDecoder::rows(std::int64_t count) {
  const std::int64_t size = steps_.weights().head.values.dim(0);
  if (!rows_.defined() || rows_.dim(0) < count) {
    rows_ = Tensor::empty({count, size}, DType::f32, device_);
    recorded_.clear();
  }
  return floats(rows_);
}

// Rows after the tokens that are wanted.
Floats DeviceDecoder::run_part(const std::vector<StepToken>& tokens, const std::vector<std::int32_t>& wanted) {
  upload(tokens, tokens_);
  steps_.run(static_cast<const StepToken*>(tokens_.raw()), static_cast<std::int64_t>(tokens.size()));
  if (wanted.empty()) return {};
  const auto count = static_cast<std::int64_t>(wanted.size());
  float* const to = rows(count);
  upload(wanted, wanted_);
  steps_.head(integers(wanted_), count, to);
  return download<float>(to, device_, count * rows_.dim(1));
}

Floats DeviceDecoder::append(std::span<const DecodeStep> steps, Rows wanted) {
  const std::lock_guard lock(mutex_);
  const bool single = std::all_of(steps.begin(), steps.end(), [](const DecodeStep& s) { return s.ids.size() == 1; });
  if (single && static_cast<std::int64_t>(steps.size()) <= limits_.step_tokens)
    return append_single(steps, wanted != Rows::none);
  return append_unlocked(steps, wanted);
}

Floats DeviceDecoder::append_unlocked(std::span<const DecodeStep> steps, Rows wanted) {
  Floats all;
  std::vector<StepToken> tokens;
  std::vector<std::int32_t> asked;
  const auto flush = [&] {
    const Floats some = run_part(tokens, asked);
    all.insert(all.end(), some.begin(), some.end());
    tokens.clear(), asked.clear();
  };
  for (const DecodeStep& step : steps) {
    DecodeState::Caches& caches = *step.state->caches_;
    make_room(caches, static_cast<std::int64_t>(step.ids.size()));
    std::size_t first = tokens.size();
    for (std::size_t i = 0; i < step.ids.size(); ++i) {
      if (static_cast<std::int64_t>(tokens.size()) == limits_.step_tokens ||
          static_cast<std::int64_t>(tokens.size() - first) == limits_.sequence_tokens) {
        flush();
        first = 0;
      }
      tokens.push_back(token(caches, caches.length++, step.ids[i], first));
      if (wanted == Rows::all || (wanted == Rows::last && i + 1 == step.ids.size()))
        asked.push_back(static_cast<std::int32_t>(tokens.size() - 1));
    }
  }
  if (!tokens.empty()) flush();
  return all;
}

void DeviceDecoder::upload_single(const std::vector<StepToken>& tokens) { upload(tokens, single_); }

Floats DeviceDecoder::append_single(std::span<const DecodeStep> steps, bool wanted) {
  std::vector<StepToken> tokens;
  for (const DecodeStep& step : steps) {
    DecodeState::Caches& caches = *step.state->caches_;
    make_room(caches, 1);
    tokens.push_back(token(caches, caches.length++, step.ids[0], tokens.size()));
  }
  upload_single(tokens);
  const auto count = static_cast<std::int64_t>(tokens.size());
  const float* from = rows(count);
  run_single(count, 0);
  return wanted ? download<float>(from, device_, count * rows_.dim(1)) : Floats();
}

StepDrawArgs DeviceDecoder::draw_args(std::int64_t count) const {
  StepDrawArgs args = steps_.weights().codes.args;
  args.draws = static_cast<StepDraw*>(draws_.raw()), args.count = count;
  args.tokens = static_cast<StepToken*>(single_.raw());
  args.rows = floats(rows_);
  args.drawn = integers(drawn_), args.most = most_drawn_;
  return args;
}

bool DeviceDecoder::draws_codes() const { return find_kernel(steps_.weights().codes.args) != nullptr; }

// A step with one token a sequence, and the codes drawn from it, which are then the sequences' next tokens.
void DeviceDecoder::run_single(std::int64_t tokens, std::int64_t draws) {
  std::unique_ptr<RecordedWork>& work = recorded_[{tokens, draws}];
  if (!work)
    work = std::make_unique<RecordedWork>(device_, [this, tokens, draws] {
      steps_.run(static_cast<const StepToken*>(single_.raw()), tokens);
      steps_.head(nullptr, tokens, floats(rows_));
      if (draws > 0) ops::run(draw_args(draws));
    });
  work->run();
}

std::vector<std::vector<std::int32_t>> DeviceDecoder::draw_codes(std::span<const CodeRun> runs, std::int64_t count) {
  const std::lock_guard lock(mutex_);
  std::vector<StepDraw> draws;
  std::vector<DecodeStep> sequences, before;
  for (const CodeRun& run : runs) {
    StepDraw draw = draw_of(*run.sampler, run.position);
    draw.row = static_cast<std::int32_t>(sequences.size());
    sequences.push_back(run.step);
    if (run.without.state != nullptr) {
      draw.guidance = run.guidance, draw.without = static_cast<std::int32_t>(sequences.size());
      sequences.push_back(run.without);
    }
    draws.push_back(draw);
  }
  const auto most = static_cast<std::size_t>(limits_.step_tokens);
  ORRERY_CHECK(sequences.size() <= most, "[decoder] ", sequences.size(), " sequences draw at once, expected at most ",
               most, " on ", name_of(device_));
  // All but the last token of each, then step by step.
  for (const DecodeStep& sequence : sequences)
    if (sequence.ids.size() > 1) before.push_back({sequence.state, sequence.ids.first(sequence.ids.size() - 1)});
  append_unlocked(before, Rows::none);
  std::vector<StepToken> tokens;
  for (const DecodeStep& sequence : sequences) {
    DecodeState::Caches& caches = *sequence.state->caches_;
    make_room(caches, count);
    tokens.push_back(token(caches, caches.length, sequence.ids.back(), tokens.size()));
    caches.length += count;
  }
  const auto streams = static_cast<std::int64_t>(tokens.size()), drawing = static_cast<std::int64_t>(draws.size());
  rows(streams);
  if (!drawn_.defined() || drawn_.dim(0) < drawing || most_drawn_ < count) {
    most_drawn_ = std::max(most_drawn_, count);
    drawn_ = Tensor::empty({drawing, most_drawn_}, DType::i32, device_);
    recorded_.clear();
  }
  upload_single(tokens);
  upload(draws, draws_);
  for (std::int64_t k = 0; k < count; ++k) run_single(streams, drawing);

  const auto ids = download<std::int32_t>(drawn_.raw(), device_, drawing * most_drawn_);
  std::vector<std::vector<std::int32_t>> codes;
  for (std::int64_t i = 0; i < drawing; ++i) {
    const auto first = ids.begin() + i * most_drawn_;
    codes.emplace_back(first, first + count);
    ORRERY_ASSERT(std::find(first, first + count, -1) == first + count, "[decoder] a logit of a code drawn on ",
                  name_of(device_), " is not a number");
  }
  return codes;
}

}  // namespace orrery::decode
