// orrery encode and orrery decode: video ↔ latent codes.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/pipeline/code_file.h"
#include "apps/pipeline/generate.h"
#include "core/base/error.h"
#include "core/base/progress.h"

namespace orrery::cli {
namespace {

struct Options {
  std::string input, output;
  int width = 0, height = 0;
  double fps = 0;
  bool force = false;
};

void print(const pipeline::CodeReport& report, const std::string& file, bool encoded, bool json) {
  if (json) {
    Json out = Json::object({{"file", file},
                             {"frames", report.frames},
                             {"fps", report.fps},
                             {"width", report.width},
                             {"height", report.height},
                             {"latent_frames", report.latents},
                             {"rows", report.rows},
                             {"columns", report.columns},
                             {"bits_per_pixel", report.bits_per_pixel}});
    if (encoded) out.set("psnr", report.psnr), out.set("ssim", report.ssim);
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s: %lld frames of %dx%d, %lld x %lld x %lld codes, %.4f bits a pixel", file.c_str(),
              static_cast<long long>(report.frames), report.width, report.height,
              static_cast<long long>(report.latents), static_cast<long long>(report.rows),
              static_cast<long long>(report.columns), report.bits_per_pixel);
  if (encoded) std::printf(", PSNR %.2f dB, SSIM %.4f", report.psnr, report.ssim);
  std::printf("\n");
}

void encode(const Options& options, const CommonOptions& common) {
  const std::string output = options.output.empty()
                                 ? std::filesystem::path(options.input).replace_extension(".safetensors").string()
                                 : options.output;
  ORRERY_CHECK(options.force || !std::filesystem::exists(output), output, " exists; --force replaces it");
  const LatentCodec codec = load_codec(pipeline::find_model(common.model));
  Progress bar("encode", "frames", 0);
  print(pipeline::encode_video(codec, options.input, output, options.width, options.height, options.fps,
                               [&bar](std::int64_t n) { bar.update(n); }),
        output, true, common.json);
}

void decode(const Options& options, const CommonOptions& common) {
  const std::string output =
      options.output.empty() ? std::filesystem::path(options.input).replace_extension(".mp4").string() : options.output;
  pipeline::check_output(output, options.force);
  const LatentCodec codec = load_codec(pipeline::find_model(common.model));
  Progress bar("decode", "frames", 0);
  print(pipeline::decode_video(codec, options.input, output, options.width, options.height,
                               [&bar](std::int64_t n) { bar.update(n); }),
        output, false, common.json);
}

}  // namespace

void add_encode(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("encode", "A video to latent codes");
  auto options = std::make_shared<Options>();
  command->add_option("video", options->input, "A video or picture")->required();
  command->add_option("-o,--output", options->output, "File to write (default: the video's name with .safetensors)");
  command->add_option("-W,--width", options->width, "Scale to so many pixels across (default: the video's)")
      ->check(CLI::Range(8, 16384));
  command->add_option("-H,--height", options->height, "Scale to so many pixels down (default: the video's)")
      ->check(CLI::Range(8, 16384));
  command->add_option("--fps", options->fps, "Read at this frame rate (default: as stored)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--force", options->force, "Replace an existing file");
  command->footer("Example: orrery encode ball.mp4 -o ball.safetensors");
  command->callback([options, &common] { encode(*options, common); });
}

void add_decode(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("decode", "Latent codes to a video");
  auto options = std::make_shared<Options>();
  command->add_option("codes", options->input, "A file that orrery encode wrote")->required();
  command->add_option("-o,--output", options->output, "Video to write (default: the file's name with .mp4)");
  command->add_option("-W,--width", options->width, "Pixels across (default: the codes' own)")
      ->check(CLI::Range(8, 16384));
  command->add_option("-H,--height", options->height, "Pixels down (default: the codes' own)")
      ->check(CLI::Range(8, 16384));
  command->add_flag("--force", options->force, "Replace an existing file");
  command->footer("Example: orrery decode ball.safetensors -o again.mp4");
  command->callback([options, &common] { decode(*options, common); });
}

}  // namespace orrery::cli
