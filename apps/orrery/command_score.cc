// orrery score: how physical videos are, and how far one is from another. Sets of videos: command_score_sets.cc.
#include "apps/orrery/command_score.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/metrics/image.h"
#include "physics_eval/metrics/trajectory.h"
#include "physics_eval/report/html.h"
#include "physics_eval/report/overlay.h"
#include "physics_eval/report/score_json.h"
#include "physics_eval/track/track.h"
#include "physics_eval/worlds/annotations_json.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;

struct PhysicsArguments {
  std::vector<std::string> inputs;
  std::vector<std::string> laws;
  double fps = 0;
  double fail_below = -1;
  std::string report, overlay, reference, annotations;
};

// What the clips are compared with; empty without --reference and --annotations.
std::optional<Course> find_truth(const PhysicsArguments& arguments) {
  ORRERY_CHECK(arguments.reference.empty() || arguments.annotations.empty(),
               "[score physics] --reference and --annotations are two truths: give one");
  if (!arguments.annotations.empty())
    return course_of(worlds::annotations_from_json(Json::read(arguments.annotations), arguments.annotations));
  if (arguments.reference.empty()) return std::nullopt;
  ReadOptions reading;
  reading.fps = arguments.fps;
  const Clip clip = read_video(arguments.reference, reading);
  const Tracks tracks = track(clip.frames, clip.fps > 0 ? clip.fps : 24);
  ORRERY_CHECK(tracks.reason.empty(), arguments.reference, ": ", tracks.reason);
  return course_of(tracks);
}

void write_overlay(const std::string& path, const Clip& clip, const Tracks& tracks, const PhysicsScore& score) {
  Clip drawn = clip;
  for (std::size_t t = 0; t < drawn.frames.size(); ++t)
    draw_overlay(drawn.frames[t], static_cast<int>(t), tracks, score);
  WriteOptions options;
  options.fps = clip.fps > 0 ? clip.fps : 24;
  write_video(path, drawn, options);
}

ReportClip report_clip(const ScoredClip& scored, const Clip& clip, const Tracks& tracks) {
  ReportClip out{scored, clip.fps > 0 ? clip.fps : 24, {}, 0};
  if (clip.frames.empty()) return out;
  const int middle = static_cast<int>(clip.frames.size()) / 2;
  out.picture_frame = scored.score.worst_frame >= 0 ? scored.score.worst_frame : middle;
  out.picture = clip.frames[static_cast<std::size_t>(out.picture_frame)];
  draw_overlay(out.picture, out.picture_frame, tracks, scored.score);
  return out;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error("cannot write " + path);
}

void score_physics_files(const PhysicsArguments& arguments, CommonOptions& common) {
  std::vector<ScoredClip> clips;
  std::vector<LeftOut> left_out;
  const std::vector<std::string> files = gather_videos(arguments.inputs, left_out);
  LawOptions options;
  options.only = arguments.laws;
  score_physics(Tracks{}, options);  // an unknown law is said before any file is read
  ORRERY_CHECK(arguments.overlay.empty() || files.size() == 1, "[score physics] --overlay draws one video, ",
               files.size(), " were given");
  ORRERY_CHECK(arguments.overlay.empty() || can_write_video(arguments.overlay), arguments.overlay,
               " is no video's name");
  const std::optional<Course> truth = find_truth(arguments);
  std::vector<ReportClip> pages;
  for (const std::string& file : files) {
    try {
      ReadOptions reading;
      reading.fps = arguments.fps;
      const Clip clip = read_video(file, reading);
      const Tracks tracks = track(clip.frames, clip.fps > 0 ? clip.fps : 24);
      ScoredClip scored{file, score_physics(tracks, options)};
      if (truth && tracks.reason.empty()) scored.against = compare_courses(course_of(tracks), *truth);
      if (!arguments.overlay.empty()) write_overlay(arguments.overlay, clip, tracks, scored.score);
      if (!arguments.report.empty()) pages.push_back(report_clip(scored, clip, tracks));
      clips.push_back(std::move(scored));
    } catch (const InputError& error) {
      if (files.size() == 1) throw;
      left_out.push_back({file, error.what()});
    }
  }
  if (!arguments.report.empty()) write_text(arguments.report, physics_html(pages, left_out));
  if (common.json) {
    print_json(physics_json(clips, left_out));
  } else {
    std::printf("%s", physics_table(clips, left_out).c_str());
  }
  ORRERY_CHECK(!clips.empty(), "[score physics] no video could be read");
  for (const ScoredClip& clip : clips) {
    if (clip.score.score < arguments.fail_below) common.exit_code = 3;
  }
}

void add_physics(CLI::App& score, CommonOptions& common) {
  CLI::App* command = score.add_subcommand("physics", "How physical videos are, without a reference");
  auto arguments = std::make_shared<PhysicsArguments>();
  command->add_option("videos", arguments->inputs, "Videos, or folders of videos")->required();
  command->add_option("--law", arguments->laws, "Test only these laws (default: all that apply)")
      ->check(CLI::IsMember(law_names()));
  command->add_option("--fps", arguments->fps, "Read at this frame rate (0: as stored)")->capture_default_str();
  command->add_option("--fail-below", arguments->fail_below, "Exit code 3 when a clip scores below this");
  command->add_option("--reference", arguments->reference,
                      "A true video of the same scene: errors of the bodies' courses");
  command->add_option("--annotations", arguments->annotations, "Ground truth (orrery simulate --annotations) instead");
  command->add_option("--report", arguments->report, "Write one self-contained HTML page");
  command->add_option("--overlay", arguments->overlay, "Write the video with tracks and breaks drawn on it");
  command->footer("Example: orrery score physics clip.mp4 --report out.html --overlay out.mp4");
  command->callback([&common, arguments] { score_physics_files(*arguments, common); });
}

void add_frames(CLI::App& score, CommonOptions& common) {
  CLI::App* command = score.add_subcommand("frames", "PSNR and SSIM of two videos, frame by frame");
  auto a = std::make_shared<std::string>(), b = std::make_shared<std::string>();
  command->add_option("a", *a, "A video")->required();
  command->add_option("b", *b, "A video of the same size and length")->required();
  command->footer("Example: orrery score frames a.mp4 b.mp4");
  command->callback([&common, a, b] {
    const FrameScores scores = score_frames(read_video(*a).frames, read_video(*b).frames);
    if (common.json) {
      print_json(frames_json(scores));
    } else {
      std::printf("PSNR %.2f dB, SSIM %.4f over %zu frames\n", scores.mean.psnr, scores.mean.ssim,
                  scores.frames.size());
    }
  });
}

}  // namespace

void print_json(const Json& json) { std::printf("%s\n", json.dump().c_str()); }

void add_score(CLI::App& app, CommonOptions& common) {
  CLI::App* score = app.add_subcommand("score", "Score videos: physics, frames, fvd, physics-iq, phyworld");
  score->require_subcommand(1);
  add_physics(*score, common);
  add_frames(*score, common);
  add_score_fvd(*score, common);
  add_score_physics_iq(*score, common);
  add_score_phyworld(*score, common);
}

}  // namespace orrery::cli
