#include "apps/pipeline/batch/clip_group.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>
#include <utility>

#include "apps/pipeline/clip_input.h"
#include "apps/pipeline/worker.h"
#include "core/base/error.h"
#include "core/base/sha256.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "video/io/reader.h"

namespace orrery::batch {

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

pipeline::ClipSpec plain_spec(const pipeline::LoadedModel& model, const Job& job) {
  pipeline::ClipSpec spec;
  spec.prompt = job.prompt, spec.seed = job.seed, spec.seconds = job.seconds;
  spec.fps = job.fps > 0 ? job.fps : model.fps();
  spec.sampling = job.sampling, spec.cfg_scale = job.cfg_scale;
  spec.actions = worlds::parse_actions(job.actions);
  return spec;
}

Json physics_of(const std::string& path) {
  const Clip clip = read_video(path);
  const auto score = score_physics(track(clip.frames, clip.fps), LawOptions{});
  return std::isfinite(score.score) ? Json(score.score) : Json();
}

void finish_clip(RunState& run, ClipInWork& clip) {
  const double begin = now();
  pipeline::ClipOutput output;
  output.path = run.store.working_path(clip.job.id), output.width = run.width, output.height = run.height;
  const pipeline::ClipReport report = pipeline::write_clip(run.model, clip.spec, output, clip.codes);
  Json line = manifest_line(run, clip.job, clip.hash, "done");
  line.set("file", run.store.file_name(clip.job.id));
  line.set("frames", report.frames);
  line.set("fps", report.fps);
  line.set("width", report.width);
  line.set("height", report.height);
  line.set("codes_sha256", report.codes_sha256);
  line.set("frames_sha256", report.frames_sha256);
  if (run.options.score) line.set("score", physics_of(output.path));
  line.set("seconds_taken", clip.seconds + now() - begin);
  if (!run.store.publish(clip.job.id, std::move(line))) return;
  ++run.made;
  run.made_frames += report.frames;
}

void fail_clip(RunState& run, const ClipInWork& clip, const std::string& reason) {
  Json line = manifest_line(run, clip.job, clip.hash, "failed");
  line.set("reason", reason);
  if (!wait_for_disk(run, [&] { run.store.fail(clip.job.id, line); })) return run.store.release(clip.job.id);
  ++run.failed;
  run.options.say(clip.job.id + " failed: " + reason);
}

// On the finishing thread.
void finish_or_fail(RunState& run, ClipInWork& clip) {
  try {
    if (!wait_for_disk(run, [&] { finish_clip(run, clip); })) run.store.release(clip.job.id);
  } catch (const Error& error) {
    fail_clip(run, clip, error.what());
  }
}

void advance(ClipInWork& clip, std::vector<std::int32_t> codes, RunState& run) {
  clip.codes.insert(clip.codes.end(), codes.begin(), codes.end());
  const std::int64_t latents = clip.draw->latents_done();
  run.frames += pipeline::frames_of_latents(run.model, clip.spec, latents) -
                pipeline::frames_of_latents(run.model, clip.spec, latents - 1);
}

// After a step that failed, nobody knows how far each sequence came: all begin anew from their codes, one by one, and
// the one that cannot go on is the one that failed.
void step_alone(RunState& run, std::vector<std::unique_ptr<ClipInWork>>& clips) {
  std::vector<std::unique_ptr<ClipInWork>> kept;
  const std::size_t cells = static_cast<std::size_t>(run.model.layout().cells());
  for (auto& clip : clips) {
    try {
      pipeline::ClipSpec begun = clip->spec;
      const std::vector<std::int32_t> drawn(
          clip->codes.begin() + static_cast<std::ptrdiff_t>(std::min(begun.given.size(), clip->codes.size())),
          clip->codes.end());
      clip->draw = std::make_unique<pipeline::ClipCodes>(run.model, begun, drawn);
      for (std::size_t latent = 0; latent < clip->codes.size() / cells; ++latent) clip->draw->next();
      advance(*clip, clip->draw->next(), run);
      kept.push_back(std::move(clip));
    } catch (const Error& error) {
      fail_clip(run, *clip, error.what());
    }
  }
  clips = std::move(kept);
}

void step(RunState& run, std::vector<std::unique_ptr<ClipInWork>>& clips) {
  const double begin = now();
  std::vector<pipeline::ClipCodes*> draws;
  for (const auto& clip : clips) draws.push_back(clip->draw.get());
  std::vector<std::vector<std::int32_t>> codes;
  try {
    codes = pipeline::ClipCodes::next_each(draws);
  } catch (const Error&) {
    return step_alone(run, clips);
  }
  const double share = (now() - begin) / static_cast<double>(clips.size());
  for (std::size_t i = 0; i < clips.size(); ++i) {
    clips[i]->seconds += share;
    advance(*clips[i], std::move(codes[i]), run);
  }
}

void keep(RunState& run, ClipInWork& clip) {
  const std::size_t given = std::min(clip.spec.given.size(), clip.codes.size());
  const std::vector<std::int32_t> drawn(clip.codes.begin() + static_cast<std::ptrdiff_t>(given), clip.codes.end());
  try {
    if (!drawn.empty()) run.store.keep_drawn(clip.job.id, clip.hash, drawn);
  } catch (const Error&) {  // a full disk costs what was drawn, no more
  }
  run.store.release(clip.job.id);
}

}  // namespace

Json manifest_line(const RunState& run, const Job& job, const std::string& hash, const char* status) {
  Json line = Json::object({{"id", job.id}, {"status", status}, {"prompt", job.prompt}, {"seed", job.seed}});
  line.set("line", job.line);
  line.set("job", hash);
  line.set("model", Json::object({{"name", run.model.name()}, {"sha256", run.model.sha256()}}));
  line.set("version", ORRERY_VERSION);
  line.set("worker", run.store.worker());
  return line;
}

pipeline::ClipSpec spec_of(const pipeline::LoadedModel& model, const Job& job) {
  pipeline::ClipSpec spec = plain_spec(model, job);
  if (!job.init_image.empty()) spec.given = pipeline::encode_start(model, job.init_image, true, job.seconds);
  if (!job.init_video.empty()) spec.given = pipeline::encode_start(model, job.init_video, false, job.seconds);
  spec.validate(model);
  return spec;
}

void check_job(const pipeline::LoadedModel& model, const Job& job) { plain_spec(model, job).validate(model); }

std::string job_hash(const pipeline::LoadedModel& model, const Job& job, const BatchOptions& options, int width,
                     int height) {
  Json content = job.content();
  content.set("weights", model.sha256());
  content.set("width", width);
  content.set("height", height);
  content.set("format", options.format);
  if (options.device != Device::cpu) content.set("device", name_of(options.device));
  return sha256_hex(content.dump());
}

bool wait_for_disk(RunState& run, const std::function<void()>& work) {
  for (bool said = false;; said = true) {
    try {
      work();
      return true;
    } catch (const DiskFullError& error) {
      if (!said)
        run.options.say("the disk is full; waiting for room, Ctrl-C stops (" + std::string(error.what()) + ")");
    }
    for (int tenth = 0; tenth < 20; ++tenth) {
      if (run.stopped()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

void draw_clips(RunState& run, std::int64_t at_once, int finishers,
                const std::function<std::unique_ptr<ClipInWork>()>& next) {
  constexpr std::size_t kQueued = 4;
  using Finisher = pipeline::Worker<std::shared_ptr<ClipInWork>>;
  std::vector<std::unique_ptr<Finisher>> finishing;
  for (int i = 0; i < finishers; ++i)
    finishing.push_back(std::make_unique<Finisher>(
        kQueued, [&run](const std::shared_ptr<ClipInWork>& clip) { finish_or_fail(run, *clip); }));
  std::size_t turn = 0;
  std::vector<std::unique_ptr<ClipInWork>> clips;
  for (;;) {
    while (static_cast<std::int64_t>(clips.size()) < at_once && !run.stopped()) {
      std::unique_ptr<ClipInWork> clip = next();
      if (!clip) break;
      clips.push_back(std::move(clip));
    }
    if (clips.empty() || run.stopped()) break;
    step(run, clips);
    std::vector<std::unique_ptr<ClipInWork>> unfinished;
    for (auto& clip : clips)
      if (clip->draw->done()) {
        clip->draw.reset();
        finishing[turn++ % finishing.size()]->push(std::move(clip));
      } else {
        unfinished.push_back(std::move(clip));
      }
    clips = std::move(unfinished);
  }
  for (const auto& clip : clips) keep(run, *clip);
  for (const auto& finisher : finishing) finisher->finish();
}

}  // namespace orrery::batch
