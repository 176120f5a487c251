#include "apps/pipeline/generate.h"

#include <chrono>
#include <cmath>
#include <limits>

#include "apps/pipeline/frame_sink.h"
#include "apps/pipeline/worker.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/sha256.h"
#include "video/frames/frame_hash.h"

namespace orrery::pipeline {

namespace {

// Model frames that a file of `frames` frames shows: frame k is the one on screen at k / fps seconds.
std::int64_t source_frame(std::int64_t k, double fps, double model_fps) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(k) * model_fps / fps + 1e-9));
}

// One action a latent frame; none for the others.
std::vector<Action> latent_actions(const LoadedModel& model, const ClipSpec& spec, std::int64_t latents) {
  std::vector<Action> actions(static_cast<std::size_t>(latents));
  const auto& sizes = model.layout().vocabulary().sizes();
  const std::int64_t step = model.codec().config().time_factor;
  for (const worlds::TimedAction& timed : spec.actions) {
    const std::int64_t latent = 1 + (timed.frame - 1) / step;
    ORRERY_CHECK(latent < latents, "an action is at frame ", timed.frame, ", but the clip ends before it");
    Action& action = actions[static_cast<std::size_t>(latent)];
    ORRERY_CHECK(action.kind == ActionKind::none, "two actions fall on frames ", (latent - 1) * step + 1, " to ",
                 latent * step, ", expected at most one every ", step, " frames");
    action.kind = static_cast<ActionKind>(timed.action.push);
    action.row = std::min(static_cast<std::int32_t>(timed.action.v * sizes.rows), sizes.rows - 1);
    action.column = std::min(static_cast<std::int32_t>(timed.action.u * sizes.columns), sizes.columns - 1);
  }
  return actions;
}

std::int64_t total_latents(const LoadedModel& model, const ClipSpec& spec) {
  return latent_frames(model.codec().config(), source_frame(spec.frames() - 1, spec.fps, model.fps()) + 1);
}

// The products of a small model's step take microseconds each: threads that meet after each cost more than they bring,
// and the other core has the codec and the encoder. Results do not depend on it.
class RolloutThreads {
 public:
  explicit RolloutThreads(const ModelConfig& config) : before_(thread_count()) {
    constexpr std::int64_t kSmall = 1024;
    set_thread_count(config.hidden_size <= kSmall ? 1 : std::max(1, before_ - 1));
  }
  ~RolloutThreads() { set_thread_count(before_); }
  RolloutThreads(const RolloutThreads&) = delete;
  RolloutThreads& operator=(const RolloutThreads&) = delete;

 private:
  int before_;
};

// Codes to the frames that the file shows.
class FramePicker {
 public:
  FramePicker(const LoadedModel& model, const ClipSpec& spec, const std::function<void(const Frame&)>& frame)
      : decoder_(model.codec(), model.layout().vocabulary().sizes().rows, model.layout().vocabulary().sizes().columns),
        frames_(spec.frames()),
        fps_(spec.fps),
        model_fps_(model.fps()),
        frame_(frame) {}
  void push(const std::vector<std::int32_t>& codes) {
    for (const Frame& native : decoder_.push(codes)) {
      if (shown_ < frames_ && source_frame(shown_, fps_, model_fps_) == source_) {
        frame_(native);
        ++shown_;
      }
      ++source_;
    }
  }

 private:
  StreamingDecoder decoder_;
  std::int64_t frames_, shown_ = 0, source_ = 0;
  double fps_, model_fps_;
  const std::function<void(const Frame&)>& frame_;
};

}  // namespace

std::int64_t ClipSpec::frames() const { return std::max<std::int64_t>(1, std::llround(seconds * fps)); }

void ClipSpec::validate(const LoadedModel& model) const {
  ORRERY_CHECK(std::isfinite(seconds) && seconds > 0 && seconds <= 86400, "--seconds is ", seconds,
               ", expected more than 0, at most 86400");
  ORRERY_CHECK(std::isfinite(fps) && fps > 0 && fps <= model.fps(), "--fps is ", fps,
               ", expected more than 0, at most the model's ", model.fps());
  sampling.validate();
  ORRERY_CHECK(seed <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), "the seed is ", seed,
               ", expected less than 2^63");
  RolloutOptions options;
  options.prompt = prompt, options.cfg_scale = cfg_scale, options.sampling = sampling;
  const Rollout checked(model, options);  // prompt and scale
  const std::int64_t latents = total_latents(model, *this), cells = model.layout().cells();
  latent_actions(model, *this, latents);
  const auto begun = static_cast<std::int64_t>(given.size()) / cells;
  ORRERY_CHECK(static_cast<std::int64_t>(given.size()) == begun * cells, "the clip's begin has ", given.size(),
               " codes, expected a multiple of ", cells);
  ORRERY_CHECK(begun < latents || latents == 1, "the video to continue leaves nothing to generate in ", seconds,
               " s; --seconds counts it too");
}

RolloutTotals for_each_frame(const LoadedModel& model, const ClipSpec& spec, const ClipProgress& progress,
                             const std::function<void(const Frame&)>& frame) {
  const RolloutThreads threads(model.config());
  RolloutOptions options;
  options.prompt = spec.prompt, options.seed = spec.seed, options.sampling = spec.sampling,
  options.cfg_scale = spec.cfg_scale;
  Rollout rollout(model, options);
  const std::int64_t latents = total_latents(model, spec), cells = model.layout().cells();
  const std::vector<Action> actions = latent_actions(model, spec, latents);
  RolloutTotals totals;
  FramePicker picker(model, spec, frame);
  constexpr std::size_t kQueued = 8;  // latent frames
  Worker<std::vector<std::int32_t>> worker(kQueued,
                                           [&picker](const std::vector<std::int32_t>& codes) { picker.push(codes); });
  Sha256 hash;
  for (std::int64_t latent = 0; latent < latents && !(progress.stop != nullptr && *progress.stop); ++latent) {
    const Action& action = actions[static_cast<std::size_t>(latent)];
    std::vector<std::int32_t> codes;
    if ((latent + 1) * cells <= static_cast<std::int64_t>(spec.given.size())) {
      codes.assign(spec.given.begin() + latent * cells, spec.given.begin() + (latent + 1) * cells);
      rollout.give(codes, action);
    } else {
      codes = rollout.next(action);
    }
    for (const std::int32_t code : codes) hash.update(std::to_string(code) + " ");
    worker.push(std::move(codes));
    const std::int64_t sources = decoded_frames(model.codec().config(), latent + 1);
    while (totals.frames < spec.frames() && source_frame(totals.frames, spec.fps, model.fps()) < sources)
      ++totals.frames;
    if (progress.update) progress.update(totals.frames);
  }
  worker.finish();
  totals.tokens = rollout.tokens();
  totals.codes_sha256 = hash.finish_hex();
  return totals;
}

ClipReport generate_clip(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output,
                         const ClipProgress& progress) {
  spec.validate(model);
  ClipReport report;
  report.file = output.path, report.fps = spec.fps;
  report.width = output.width > 0 ? output.width : model.width();
  report.height = output.height > 0 ? output.height : model.height();
  report.unknown_words = model.words().unknown_words(spec.prompt);
  const auto begin = std::chrono::steady_clock::now();
  WriteOptions write;
  write.fps = spec.fps, write.quality = output.quality;
  write.metadata = to_record(model, spec, report).dump();  // what MKV and WebM get; the sidecar has all of it
  FrameSink sink(output.path, report.width, report.height, write);
  FrameHash hash;
  const RolloutTotals totals = for_each_frame(model, spec, progress, [&](const Frame& frame) {
    hash.update(frame);
    report.frame_hashes += sha256_hex(frame.bytes()).substr(0, 8);
    sink.push(frame);
  });
  report.frames = totals.frames, report.tokens = totals.tokens, report.codes_sha256 = totals.codes_sha256;
  report.seconds = static_cast<double>(report.frames) / spec.fps;
  report.stopped = report.frames < spec.frames();
  if (report.frames > 0) {
    report.frames_sha256 = hash.finish();
    sink.finish(to_record(model, spec, report).dump());
  }
  report.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace orrery::pipeline
