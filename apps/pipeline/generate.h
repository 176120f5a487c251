// From a prompt to a file: rollout → codec → upscaled frames → video, with the record that `replay` verifies.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "apps/pipeline/rollout.h"
#include "core/io/json.h"
#include "physics_eval/worlds/actions.h"
#include "video/frames/frame.h"

namespace orrery::pipeline {

/// The better of two settings over 24 sentences with orrery-64 (docs/benchmarks/prompts.md).
inline constexpr SamplingOptions kDefaultSampling{0.7, 0, 1.0, 0.05};

/// What makes a clip; two equal ones on one machine make equal clips.
struct ClipSpec {
  std::string prompt;
  std::uint64_t seed = 42;
  double seconds = 10;
  double fps = 24;  ///< of the file; at most the model's, whose frames are then left out evenly
  SamplingOptions sampling = kDefaultSampling;
  double cfg_scale = 1.0;
  std::int64_t tries = 1;   ///< most goes at a second of the clip, of which a judge keeps the best (judged_clip.h)
  std::int64_t drafts = 0;  ///< RolloutOptions::drafts: how fast, never what; not in the record
  std::vector<worlds::TimedAction> actions;  ///< frames at the model's rate
  /// Codes of the latent frames that the clip begins with (whole latent frames), e.g. from encode_start()
  /// (clip_input.h).
  std::vector<std::int32_t> given;

  /// Throws InputError naming the option that is out of range.
  void validate(const LoadedModel& model) const;
  /// Frames in the file.
  std::int64_t frames() const;
};

/// Where it goes.
struct ClipOutput {
  std::string path;
  int width = 512, height = 512;  ///< pixels of the file; 0: the model's own
  int quality = 75;
};

struct ClipReport {
  std::string file;
  std::int64_t frames = 0;  ///< written; fewer than asked for when it was stopped
  double fps = 0, seconds = 0;
  int width = 0, height = 0;
  std::int64_t tokens = 0;
  DraftCount drafts;
  double wall_seconds = 0;
  bool stopped = false;
  std::vector<std::string> unknown_words;
  std::string frames_sha256;  ///< over the model's own RGB frames, before upscaling and encoding
  std::string frame_hashes;   ///< eight hexadecimal digits a frame: the begin of its SHA-256
  std::string codes_sha256;   ///< over the codes of all latent frames
};

struct ClipProgress {
  /// Called after each latent frame with frames done so far, from the calling thread.
  std::function<void(std::int64_t)> update;
  const std::atomic<bool>* stop = nullptr;
};

struct RolloutTotals {
  std::int64_t frames = 0, tokens = 0;
  DraftCount drafts;
  std::string codes_sha256;
};
/// The frames of a clip at the model's size and the file's rate, in order. `frame` is called from another thread, on
/// which the codec works while the model goes on.
RolloutTotals for_each_frame(const LoadedModel& model, const ClipSpec& spec, const ClipProgress& progress,
                             const std::function<void(const Frame&)>& frame);

/// Makes one clip. Encoding overlaps decoding. Stopped early, it keeps what is done. Throws InputError before any work
/// for what is wrong with the arguments; on failure nothing is left behind.
ClipReport generate_clip(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output,
                         const ClipProgress& progress = {});

/// The record in a clip's metadata, and back.
Json to_record(const LoadedModel& model, const ClipSpec& spec, const ClipReport& report);
/// Throws InputError when the record is none of `orrery generate`'s or broken.
ClipSpec spec_of_record(const Json& record, const std::string& source);

/// The report as `--json` prints it.
Json to_json(const ClipReport& report, const ClipSpec& spec, const LoadedModel& model);

/// "a-red-ball-bounces-42.mp4".
std::string default_name(const std::string& prompt, std::uint64_t seed);
/// Throws InputError when `path` cannot be written: unknown extension, folder missing or not writable, file there
/// already (unless `force`).
void check_output(const std::string& path, bool force);
/// The frames' size in the file: 0 stands for what keeps the shape; both 0: 512 pixels on the longer side. Throws
/// InputError for sizes that do not have the model's shape.
void output_size(const LoadedModel& model, bool native, int& width, int& height);

/// The instruction set that codec and decoder run on, for records: "avx512", "avx2" or "baseline".
std::string instruction_set();

}  // namespace orrery::pipeline
