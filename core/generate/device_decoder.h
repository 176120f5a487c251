// Decoding on a device: the caches of sequences, their tokens in parts that fit, and runs of codes that the device
// draws by itself. Inside of Decoder; only core/generate includes it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/generate/device_steps.h"
#include "core/tensor/recorded_work.h"

namespace orrery::decode {

class DeviceDecoder {
 public:
  DeviceDecoder(const Decoder::Packed& packed, Device device, const DeviceLimits& limits);

  /// Appends the steps' ids; `wanted`: of the rows behind them, [wanted, row_size].
  enum class Rows { none, last, all };
  Floats append(std::span<const DecodeStep> steps, Rows wanted);
  bool draws_codes() const;
  /// Decoder::draw_codes; the steps' ids are checked.
  std::vector<std::vector<std::int32_t>> draw_codes(std::span<const CodeRun> runs, std::int64_t count);

 private:
  void make_room(DecodeState::Caches& caches, std::int64_t tokens);
  StepToken token(const DecodeState::Caches& caches, std::int64_t at, std::int32_t id, std::size_t first) const;
  Floats append_unlocked(std::span<const DecodeStep> steps, Rows wanted);
  Floats append_single(std::span<const DecodeStep> steps, bool wanted);
  Floats run_part(const std::vector<StepToken>& tokens, const std::vector<std::int32_t>& wanted);
  float* rows(std::int64_t count);
  void run_single(std::int64_t tokens, std::int64_t draws);
  void upload_single(const std::vector<StepToken>& tokens);
  StepDrawArgs draw_args(std::int64_t count) const;

  std::mutex mutex_;
  Device device_;
  DeviceLimits limits_;
  DeviceSteps steps_;
  Tensor tokens_, single_, wanted_, draws_, drawn_, rows_;
  std::int64_t most_drawn_ = 0;
  /// Steps with one token a sequence, by how many there are and how many draw.
  std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<RecordedWork>> recorded_;
};

}  // namespace orrery::decode
