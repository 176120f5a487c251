// orrery score: how physical videos are, and how far one is from another.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/metrics/image.h"
#include "physics_eval/report/score_json.h"
#include "physics_eval/track/track.h"
#include "video/io/reader.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;

struct PhysicsArguments {
  std::vector<std::string> inputs;
  std::vector<std::string> laws;
  double fps = 0;
  double fail_below = -1;
};

// The files named, and the videos of the folders named, in the order of their names.
std::vector<std::string> gather(const std::vector<std::string>& inputs, std::vector<LeftOut>& left_out) {
  std::vector<std::string> out;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input)) {
      out.push_back(input);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(input)) {
      if (entry.is_regular_file() && has_video_extension(entry.path().string()))
        inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    if (inside.empty()) left_out.push_back({input, "the folder has no videos"});
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

void print_json(const Json& json) { std::printf("%s\n", json.dump().c_str()); }

void score_physics_files(const PhysicsArguments& arguments, CommonOptions& common) {
  std::vector<ScoredClip> clips;
  std::vector<LeftOut> left_out;
  const std::vector<std::string> files = gather(arguments.inputs, left_out);
  LawOptions options;
  options.only = arguments.laws;
  score_physics(Tracks{}, options);  // an unknown law is said before any file is read
  for (const std::string& file : files) {
    try {
      ReadOptions reading;
      reading.fps = arguments.fps;
      const Clip clip = read_video(file, reading);
      clips.push_back({file, score_physics(track(clip.frames, clip.fps > 0 ? clip.fps : 24), options)});
    } catch (const InputError& error) {
      if (files.size() == 1) throw;
      left_out.push_back({file, error.what()});
    }
  }
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
  command->footer("Example: orrery score physics clip.mp4 --json");
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

void add_score(CLI::App& app, CommonOptions& common) {
  CLI::App* score = app.add_subcommand("score", "Score videos: physics, frames");
  score->require_subcommand(1);
  add_physics(*score, common);
  add_frames(*score, common);
}

}  // namespace orrery::cli
