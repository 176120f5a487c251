#include "apps/pipeline/generate.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include "apps/pipeline/clip_codes.h"
#include "apps/pipeline/frame_sink.h"
#include "apps/pipeline/judged_clip.h"
#include "apps/pipeline/rollout_threads.h"
#include "apps/pipeline/worker.h"
#include "core/base/error.h"
#include "core/base/sha256.h"
#include "video/frames/frame_hash.h"

namespace orrery::pipeline {

std::int64_t ClipSpec::frames() const { return std::max<std::int64_t>(1, std::llround(seconds * fps)); }

void ClipSpec::validate(const LoadedModel& model) const {
  ORRERY_CHECK(std::isfinite(seconds) && seconds > 0 && seconds <= 86400, "--seconds is ", seconds,
               ", expected more than 0, at most 86400");
  ORRERY_CHECK(std::isfinite(fps) && fps > 0 && fps <= model.fps(), "--fps is ", fps,
               ", expected more than 0, at most the model's ", model.fps());
  ORRERY_CHECK(seed <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), "the seed is ", seed,
               ", expected less than 2^63");
  ORRERY_CHECK(tries >= 1 && tries <= 64, "--tries is ", tries, ", expected 1 to 64");
  RolloutOptions options;
  options.prompt = prompt, options.cfg_scale = cfg_scale, options.sampling = sampling;
  options.drafts = drafts;
  Rollout::check(model, options);
  const std::int64_t latents = total_latents(model, *this), cells = model.layout().cells();
  latent_actions(model, *this, latents);
  const auto begun = static_cast<std::int64_t>(given.size()) / cells;
  ORRERY_CHECK(static_cast<std::int64_t>(given.size()) == begun * cells, "the clip's begin has ", given.size(),
               " codes, expected a multiple of ", cells);
  ORRERY_CHECK(begun < latents || latents == 1, "the video to continue leaves nothing to generate in ", seconds,
               " s; --seconds counts it too");
}

namespace {

// Draws a clip to its end or until it is stopped. `draw` takes the next part of it, gives its frames to who shows them,
// and returns its codes.
template <class Clip, class Draw>
RolloutTotals draw_all(const LoadedModel& model, const ClipSpec& spec, const ClipProgress& progress, Clip& clip,
                       const Draw& draw) {
  RolloutTotals totals;
  Sha256 hash;
  while (!clip.done() && !(progress.stop != nullptr && *progress.stop)) {
    const std::vector<std::int32_t> codes = draw();
    for (const std::int32_t code : codes) hash.update(std::to_string(code) + " ");
    totals.frames = frames_of_latents(model, spec, clip.latents_done());
    if (progress.update) progress.update(totals.frames);
  }
  totals.tokens = clip.tokens(), totals.drafts = clip.drafts();
  totals.codes_sha256 = hash.finish_hex();
  return totals;
}

}  // namespace

RolloutTotals for_each_frame(const LoadedModel& model, const ClipSpec& spec, const ClipProgress& progress,
                             const std::function<void(const Frame&)>& frame) {
  ClipFrames frames(model, spec, frame);
  if (spec.tries > 1) {  // second by second, decoded already for the judge
    JudgedClip clip(model, spec);
    Worker<std::vector<Frame>> worker(2, [&frames](const std::vector<Frame>& natives) {
      for (const Frame& native : natives) frames.show(native);
    });
    const RolloutTotals totals = draw_all(model, spec, progress, clip, [&] {
      JudgedClip::Stretch stretch = clip.next();
      worker.push(std::move(stretch.frames));
      return std::move(stretch.codes);
    });
    worker.finish();
    return totals;
  }
  const RolloutThreads threads(model.config());
  ClipCodes clip(model, spec);
  constexpr std::size_t kQueued = 8;  // latent frames
  Worker<std::vector<std::int32_t>> worker(kQueued,
                                           [&frames](const std::vector<std::int32_t>& codes) { frames.push(codes); });
  const RolloutTotals totals = draw_all(model, spec, progress, clip, [&] {
    std::vector<std::int32_t> codes = clip.next();
    worker.push(codes);
    return codes;
  });
  worker.finish();
  return totals;
}

namespace {

// The file of a clip, from its frames in order.
class ClipFile {
 public:
  ClipFile(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output)
      : model_(model), spec_(spec), report_(begun(model, spec, output)) {
    WriteOptions write;
    write.fps = spec.fps, write.quality = output.quality, write.quick = true;
    write.metadata = to_record(model, spec, report_).dump();  // what MKV and WebM get; the sidecar has all of it
    sink_ = std::make_unique<FrameSink>(output.path, report_.width, report_.height, write);
  }
  void add(const Frame& frame) {
    hash_.update(frame);
    report_.frame_hashes += sha256_hex(frame.bytes()).substr(0, 8);
    sink_->push(frame);
  }
  // Gives the file its name when there is a frame in it.
  ClipReport finish(const RolloutTotals& totals) {
    report_.frames = totals.frames, report_.tokens = totals.tokens, report_.drafts = totals.drafts;
    report_.codes_sha256 = totals.codes_sha256;
    report_.seconds = static_cast<double>(report_.frames) / spec_.fps;
    report_.stopped = report_.frames < spec_.frames();
    if (report_.frames > 0) {
      report_.frames_sha256 = hash_.finish();
      sink_->finish(to_record(model_, spec_, report_).dump());
    }
    report_.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    return report_;
  }

 private:
  static ClipReport begun(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output) {
    ClipReport report;
    report.file = output.path, report.fps = spec.fps;
    report.width = output.width > 0 ? output.width : model.width();
    report.height = output.height > 0 ? output.height : model.height();
    report.unknown_words = model.words().unknown_words(spec.prompt);
    return report;
  }

  const LoadedModel& model_;
  const ClipSpec& spec_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  ClipReport report_;
  FrameHash hash_;
  std::unique_ptr<FrameSink> sink_;
};

}  // namespace

ClipReport generate_clip(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output,
                         const ClipProgress& progress) {
  spec.validate(model);
  ClipFile file(model, spec, output);
  return file.finish(for_each_frame(model, spec, progress, [&file](const Frame& frame) { file.add(frame); }));
}

ClipReport write_clip(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output,
                      std::span<const std::int32_t> codes) {
  const auto cells = static_cast<std::size_t>(model.layout().cells());
  ClipFile file(model, spec, output);
  ClipFrames frames(model, spec, [&file](const Frame& frame) { file.add(frame); });
  for (std::size_t at = 0; at + cells <= codes.size(); at += cells) frames.push(codes.subspan(at, cells));
  RolloutTotals totals;
  totals.frames = frames_of_latents(model, spec, static_cast<std::int64_t>(codes.size() / cells));
  totals.codes_sha256 = codes_hash(codes);
  return file.finish(totals);
}

}  // namespace orrery::pipeline
