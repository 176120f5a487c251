// orrery generate and orrery replay: from a prompt to a video, and the proof that a video came from its record.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/pipeline/clip_input.h"
#include "apps/pipeline/generate.h"
#include "apps/pipeline/replay.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/io/files.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "video/frames/contact_sheet.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string prompt, output, init_image, init_video, actions;
  double seconds = 10, fps = 0;
  int count = 1, width = 0, height = 0;
  SamplingOptions sampling = pipeline::kDefaultSampling;
  double cfg_scale = 1;
  std::int64_t drafts = 0, tries = 1;
  bool native = false, dry_run = false, force = false, preview = false, score = false;
};

std::uint64_t first_seed(const CommonOptions& common) {
  if (common.seed >= 0) return static_cast<std::uint64_t>(common.seed);
  const std::uint64_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// "ball.mp4" → "ball-43.mp4", "ball_%04d.png" → "ball_43-%04d.png".
std::string numbered(const std::string& path, std::uint64_t seed) {
  const fs::path file(path);
  const std::string name = file.filename().string();
  const std::size_t percent = name.find('%');
  if (percent != std::string::npos)
    return (file.parent_path() / (name.substr(0, percent) + std::to_string(seed) + "-" + name.substr(percent)))
        .string();
  return (file.parent_path() / (file.stem().string() + "-" + std::to_string(seed) + file.extension().string()))
      .string();
}

std::string output_path(const Options& options, std::uint64_t seed) {
  if (options.output.empty()) return pipeline::default_name(options.prompt, seed);
  return options.count == 1 ? options.output : numbered(options.output, seed);
}

std::string preview_path(const std::string& output) {
  return fs::path(sidecar_path(output)).replace_extension(".png").string();
}

// What can be said before the model is read.
void check_arguments(const Options& options, std::uint64_t seed) {
  pipeline::check_prompt(options.prompt);
  ORRERY_CHECK(std::isfinite(options.seconds) && options.seconds > 0, "--seconds is ", options.seconds,
               ", expected more than 0");
  ORRERY_CHECK(options.fps >= 0, "--fps is ", options.fps, ", expected more than 0");
  ORRERY_CHECK(options.count >= 1 && options.count <= 10000, "-n is ", options.count, ", expected 1 to 10000");
  ORRERY_CHECK(options.init_image.empty() || options.init_video.empty(),
               "--init-img and --init-video contradict each other");
  options.sampling.validate();
  for (int i = 0; i < options.count; ++i) {
    const std::string path = output_path(options, seed + static_cast<std::uint64_t>(i));
    pipeline::check_output(path, options.force);
    ORRERY_CHECK(!options.preview || options.force || !fs::exists(preview_path(path)), preview_path(path),
                 " exists; --force replaces it");
  }
}

pipeline::ClipSpec make_spec(const pipeline::LoadedModel& model, const Options& options, std::uint64_t seed) {
  pipeline::ClipSpec spec;
  spec.prompt = options.prompt;
  spec.seed = seed;
  spec.seconds = options.seconds;
  spec.fps = options.fps > 0 ? options.fps : model.fps();
  spec.sampling = options.sampling;
  spec.cfg_scale = options.cfg_scale;
  spec.drafts = options.drafts;
  spec.tries = options.tries;
  spec.actions = worlds::parse_actions(options.actions);
  spec.validate(model);
  if (!options.init_image.empty())
    spec.given = pipeline::encode_start(model, options.init_image, true, options.seconds);
  if (!options.init_video.empty())
    spec.given = pipeline::encode_start(model, options.init_video, false, options.seconds);
  spec.validate(model);
  return spec;
}

void warn_unknown(const std::vector<std::string>& words) {
  if (words.empty()) return;
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  std::fprintf(stderr, "orrery: warning: the model never saw: %s\n", list.c_str());
}

// How much work it is, from a latent frame made for the purpose.
void print_plan(const pipeline::LoadedModel& model, const pipeline::ClipSpec& spec, const Options& options, int width,
                int height, bool json) {
  pipeline::ClipSpec probe = spec;
  probe.given.clear(), probe.actions.clear();
  constexpr int kProbe = 3;  // latent frames
  probe.fps = model.fps();
  probe.seconds = static_cast<double>(decoded_frames(model.codec().config(), kProbe)) / model.fps();
  const auto begin = std::chrono::steady_clock::now();
  pipeline::for_each_frame(model, probe, {}, [](const Frame&) {});
  const double a_latent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / kProbe;
  const auto latents = latent_frames(model.codec().config(), std::llround(std::ceil(spec.seconds * model.fps())));
  const auto prompt = static_cast<std::int64_t>(model.layout().prompt(model.encode_prompt(spec.prompt)).size());
  // What the other goes draw, if all are needed; what starting anew repeats they share.
  const std::int64_t more = (spec.tries - 1) * latents * model.layout().group();
  const std::int64_t tokens = pipeline::planned_tokens(model, prompt, latents, spec.cfg_scale != 1) + more;
  DecodeState state = model.decoder().start();
  model.decoder().append(state, model.layout().prompt({}));
  const double context = static_cast<double>(state.bytes()) / static_cast<double>(model.layout().group()) *
                         static_cast<double>(model.context_groups() * model.layout().group()) / 1e6;
  if (json) {
    Json words = Json::array();
    for (const std::string& word : model.words().unknown_words(spec.prompt)) words.push_back(word);
    const Json plan = Json::object({{"clips", options.count},
                                    {"frames", spec.frames()},
                                    {"fps", spec.fps},
                                    {"width", width},
                                    {"height", height},
                                    {"tokens", tokens},
                                    {"context_tokens", model.config().video.trained_context},
                                    {"cache_mb", context},
                                    {"wall_s", a_latent * static_cast<double>(latents) * options.count},
                                    {"model", model.name()},
                                    {"unknown_words", words}});
    std::printf("%s\n", Json::object({{"plan", plan}}).dump().c_str());
    return;
  }
  std::printf("%d clip%s of %lld frames at %g frames a second, %dx%d, by %s\n", options.count,
              options.count == 1 ? "" : "s", static_cast<long long>(spec.frames()), spec.fps, width, height,
              model.name().c_str());
  std::printf("%s%lld tokens a clip, at most %lld in the context, %.1f MB of caches, about %s\n",
              spec.tries > 1 ? "up to " : "", static_cast<long long>(tokens),
              static_cast<long long>(model.config().video.trained_context), context,
              format_duration(a_latent * static_cast<double>(latents) * options.count).c_str());
}

Json physics_of(const std::string& path) {
  const Clip clip = read_video(path);
  const auto score = score_physics(track(clip.frames, clip.fps), LawOptions{});
  return std::isfinite(score.score) ? Json(score.score) : Json();
}

void write_preview(const std::string& path) {
  const Clip clip = read_video(path);
  constexpr std::size_t kCells = 24;
  std::vector<Frame> frames;
  std::vector<std::string> labels;
  const std::size_t cells = std::min(kCells, clip.frames.size());
  for (std::size_t i = 0; i < cells; ++i) {
    const std::size_t at = i * clip.frames.size() / cells;
    frames.push_back(clip.frames[at]);
    labels.push_back(std::to_string(at));
  }
  ContactSheet sheet;
  sheet.cell_width = sheet.cell_height = 160;
  write_image(preview_path(path), make_contact_sheet(frames, labels, sheet));
}

void generate(const Options& options, CommonOptions& common) {
  const std::uint64_t seed = first_seed(common);
  if (!options.dry_run) check_arguments(options, seed);
  const pipeline::LoadedModel model(pipeline::find_model(common.model), {generating_device(common)});
  int width = options.width, height = options.height;
  pipeline::output_size(model, options.native, width, height);
  pipeline::ClipSpec spec = make_spec(model, options, seed);
  warn_unknown(model.words().unknown_words(spec.prompt));
  if (options.dry_run) return print_plan(model, spec, options, width, height, common.json);

  pipeline::ClipProgress progress;
  progress.stop = stop_on_interrupt();
  Json clips = Json::array();
  for (int i = 0; i < options.count && !*progress.stop; ++i) {
    spec.seed = seed + static_cast<std::uint64_t>(i);
    Progress bar("generate", "frames", spec.frames());
    progress.update = [&bar](std::int64_t frames) { bar.update(frames); };
    const pipeline::ClipReport report =
        pipeline::generate_clip(model, spec, {output_path(options, spec.seed), width, height}, progress);
    if (report.stopped) {
      common.exit_code = 1;
      if (report.frames == 0) {
        std::fprintf(stderr, "orrery: stopped before the first frame of %s\n", report.file.c_str());
        break;
      }
      std::fprintf(stderr, "orrery: stopped after %.2f s of %.2f s; %s holds what was done\n", report.seconds,
                   spec.seconds, report.file.c_str());
    }
    Json clip = pipeline::to_json(report, spec, model);
    if (options.score) clip.set("score", physics_of(report.file));
    if (options.preview) write_preview(report.file);
    if (!common.json) {
      std::printf("%s: %.4g s, %dx%d, seed %llu, in %s\n", report.file.c_str(), report.seconds, report.width,
                  report.height, static_cast<unsigned long long>(spec.seed),
                  format_duration(report.wall_seconds).c_str());
      if (options.score) std::printf("physics score %s\n", clip.find("score")->dump().c_str());
    }
    clips.push_back(std::move(clip));
  }
  if (common.json) std::printf("%s\n", Json::object({{"clips", clips}}).dump().c_str());
}

void replay(const std::string& path, CommonOptions& common) {
  const Json record = pipeline::read_record(path);
  pipeline::spec_of_record(record, path);
  const pipeline::LoadedModel model(pipeline::find_model(common.model), {generating_device(common)});
  const Json* frames = record.find("frames");
  Progress bar("replay", "frames", frames != nullptr && frames->is_integer() ? frames->as_integer() : 0);
  pipeline::ClipProgress progress;
  progress.stop = stop_on_interrupt();
  progress.update = [&bar](std::int64_t done) { bar.update(done); };
  std::string pattern = (fs::temp_directory_path() / "orrery-replay-XXXXXX").string();
  ORRERY_ASSERT(mkdtemp(pattern.data()) != nullptr, "cannot make a folder in ", fs::temp_directory_path().string());
  const std::unique_ptr<std::string, void (*)(std::string*)> scratch(&pattern, [](std::string* folder) {
    std::error_code ignored;
    fs::remove_all(*folder, ignored);
  });
  const pipeline::ReplayReport report = pipeline::replay_clip(model, path, pattern, progress);
  if (!report.identical) common.exit_code = 1;
  if (common.json) {
    std::printf("%s\n", Json::object({{"file", path},
                                      {"identical", report.identical},
                                      {"same_tokens", report.same_codes},
                                      {"frames", report.frames},
                                      {"differs_from", report.differs_from < 0 ? Json() : Json(report.differs_from)},
                                      {"psnr", report.psnr},
                                      {"answer", report.answer}})
                            .dump()
                            .c_str());
  } else {
    std::printf("%s: %s\n", path.c_str(), report.answer.c_str());
  }
}

}  // namespace

void add_generate(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("generate", "A video from a sentence");
  auto options = std::make_shared<Options>();
  command->add_option("prompt", options->prompt, "What is to be seen")->required();
  command->add_option("-o,--output", options->output,
                      "File to write: .mp4 .mkv .webm .gif, or frames_%04d.png (default: from prompt and seed)");
  command->add_option("--seconds", options->seconds, "Length")->capture_default_str();
  command->add_option("--fps", options->fps, "Frames a second, at most the model's (default: the model's, 24)");
  command->add_option("-n,--count", options->count, "Clips, with this seed and the next ones")->capture_default_str();
  command->add_option("--temperature", options->sampling.temperature, "0: always the most likely token")
      ->capture_default_str();
  command->add_option("--top-k", options->sampling.top_k, "Only the k most likely tokens (0: no limit)")
      ->capture_default_str();
  command->add_option("--top-p", options->sampling.top_p, "Only the most likely tokens up to this probability")
      ->capture_default_str();
  command
      ->add_option("--min-p", options->sampling.min_p,
                   "Only tokens with this share of the most likely one's probability")
      ->capture_default_str();
  command
      ->add_option("--cfg-scale", options->cfg_scale,
                   "Classifier-free guidance (1: of the first latent frame only; otherwise twice the work)")
      ->capture_default_str();
  command
      ->add_option("--tries", options->tries,
                   "At most so many goes at a second, until the tracker and the laws find it true to the sentence")
      ->capture_default_str();
  command
      ->add_option("--drafts", options->drafts,
                   "Tokens that the multi-token-prediction block guesses ahead a step: the same clip, faster or slower")
      ->capture_default_str();
  command->add_option("-W,--width", options->width, "Pixels across (default 512)");
  command->add_option("-H,--height", options->height, "Pixels down (default 512)");
  command->add_flag("--native", options->native, "Write the model's own pixels");
  command->add_option("-i,--init-img", options->init_image, "Picture that the clip begins with");
  command->add_option("--init-video", options->init_video, "Video to continue; --seconds counts it too");
  command->add_option("--actions", options->actions, "Pushes, e.g. \"24:push-right@0.5,0.7;48:push-up@0.2,0.9\"");
  command->add_flag("--preview", options->preview, "Write a contact sheet (.png) beside the video");
  command->add_flag("--score", options->score, "Physics score of the result");
  command->add_flag("--dry-run", options->dry_run, "Print tokens, memory and time, make nothing");
  command->add_flag("--force", options->force, "Replace existing files");
  command->footer("Example: orrery generate \"a red ball bounces on the floor\" -o ball.mp4");
  command->callback([options, &common] { generate(*options, common); });
}

void add_replay(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("replay", "Make a clip again from its record and compare");
  auto path = std::make_shared<std::string>();
  command->add_option("clip", *path, "A clip that orrery generate wrote")->required();
  command->footer("Example: orrery replay ball.mp4");
  command->callback([path, &common] { replay(*path, common); });
}

}  // namespace orrery::cli
