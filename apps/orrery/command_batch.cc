// orrery batch: many clips from a file of jobs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/orrery/mpi_queue.h"
#include "apps/pipeline/batch/batch.h"
#include "apps/pipeline/batch/manifest.h"
#include "core/base/error.h"
#include "core/base/progress.h"

namespace orrery::cli {
namespace {

struct Options {
  batch::BatchOptions batch;
  std::string shard, verify, report;
  std::vector<std::string> merge;
  bool dry_run = false;
};

// "i/n", or what Slurm says of an array's task.
void choose_shard(Options& options) {
  batch::BatchOptions& batch = options.batch;
  if (!options.shard.empty()) {
    long long shard = 0, shards = 0;
    char rest = 0;
    ORRERY_CHECK(std::sscanf(options.shard.c_str(), "%lld/%lld%c", &shard, &shards, &rest) == 2, "--shard found '",
                 options.shard, "', expected i/n, e.g. 0/4");
    batch.shard = shard, batch.shards = shards;
    return;
  }
  const auto number = [](const char* name) -> long long {
    const char* text = std::getenv(name);
    return text != nullptr && *text != '\0' ? std::atoll(text) : -1;
  };
  const long long task = number("SLURM_ARRAY_TASK_ID"), count = number("SLURM_ARRAY_TASK_COUNT"),
                  first = std::max(0LL, number("SLURM_ARRAY_TASK_MIN")),
                  step = std::max(1LL, number("SLURM_ARRAY_TASK_STEP"));
  if (task < 0 || count < 1) return;
  batch.shard = (task - first) / step, batch.shards = count;
}

void report(const batch::BatchReport& result, const Options& options, CommonOptions& common) {
  if (result.failed > 0 || result.left > 0 || result.bad_lines > 0) common.exit_code = 1;
  if (common.json) {
    Json json = Json::object({{"folder", options.batch.folder},
                              {"manifest", options.batch.folder + "/manifest.jsonl"},
                              {"jobs", result.jobs},
                              {"made", result.made},
                              {"found", result.found},
                              {"failed", result.failed},
                              {"left", result.left}});
    json.set("bad_lines", result.bad_lines);
    json.set("frames", result.frames);
    json.set("wall_s", result.seconds);
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  std::printf("%s: %lld clips made, %lld were there, %lld failed, %lld left, in %s (%.3g frames/s)\n",
              options.batch.folder.c_str(), static_cast<long long>(result.made), static_cast<long long>(result.found),
              static_cast<long long>(result.failed), static_cast<long long>(result.left),
              format_duration(result.seconds).c_str(),
              result.seconds > 0 ? static_cast<double>(result.frames) / result.seconds : 0.0);
  if (result.left > 0) std::printf("Run the same command again to go on.\n");
  if (result.failed > 0) std::printf("--retry-failed takes up the failed ones.\n");
}

void print_plan(const batch::BatchPlan& plan, bool json) {
  if (json) {
    const Json content = Json::object({{"jobs", plan.jobs},
                                       {"found", plan.found},
                                       {"to_make", plan.to_make},
                                       {"frames", plan.frames},
                                       {"wall_s", plan.seconds},
                                       {"memory_mb", plan.memory_mb},
                                       {"disk_mb", plan.disk_mb}});
    std::printf("%s\n", Json::object({{"plan", content}}).dump().c_str());
    return;
  }
  std::printf(
      "%lld jobs, %lld of them done; %lld clips of %lld frames to make: about %s, %.0f MB of memory, %.1f MB on disk\n",
      static_cast<long long>(plan.jobs), static_cast<long long>(plan.found), static_cast<long long>(plan.to_make),
      static_cast<long long>(plan.frames), format_duration(plan.seconds).c_str(), plan.memory_mb, plan.disk_mb);
}

void verify(const std::string& folder, CommonOptions& common) {
  const batch::ManifestCheck check = batch::verify_manifest(folder);
  if (!check.bad.empty()) common.exit_code = 1;
  if (common.json) {
    Json bad = Json::array();
    for (const auto& [file, reason] : check.bad) bad.push_back(Json::object({{"file", file}, {"reason", reason}}));
    std::printf("%s\n", Json::object({{"good", check.good}, {"failed", check.failed}, {"bad", bad}}).dump().c_str());
    return;
  }
  for (const auto& [file, reason] : check.bad) std::fprintf(stderr, "orrery: %s %s\n", file.c_str(), reason.c_str());
  std::printf("%s: %lld files as the manifest says, %zu not, %lld failed jobs\n", folder.c_str(),
              static_cast<long long>(check.good), check.bad.size(), static_cast<long long>(check.failed));
}

void merge(const Options& options, CommonOptions& common) {
  ORRERY_CHECK(!options.batch.folder.empty(), "--merge needs -o, the folder for the one manifest");
  const batch::MergeReport report = batch::merge_manifests(options.merge, options.batch.folder);
  if (common.json) {
    std::printf(
        "%s\n",
        Json::object({{"done", report.done}, {"failed", report.failed}, {"twins", report.twins}}).dump().c_str());
    return;
  }
  std::printf("%s/manifest.jsonl: %lld clips, %lld failed jobs, %lld lines of jobs that were there already\n",
              options.batch.folder.c_str(), static_cast<long long>(report.done), static_cast<long long>(report.failed),
              static_cast<long long>(report.twins));
}

void write_page(const std::string& folder, CommonOptions& common) {
  const batch::ReportFiles files = batch::write_report(folder);
  if (common.json) {
    std::printf("%s\n", Json::object({{"page", files.page}, {"sheet", files.sheet}}).dump().c_str());
  } else {
    std::printf("%s%s%s\n", files.page.c_str(), files.sheet.empty() ? "" : ", ", files.sheet.c_str());
  }
}

void run(Options& options, CommonOptions& common) {
  batch::BatchOptions& batch = options.batch;
  const int asked = (batch.jobs.empty() ? 0 : 1) + (options.verify.empty() ? 0 : 1) + (options.merge.empty() ? 0 : 1) +
                    (options.report.empty() ? 0 : 1);
  ORRERY_CHECK(asked == 1, "expected a file of jobs, or one of --verify, --merge and --report");
  if (!options.verify.empty()) return verify(options.verify, common);
  if (!options.merge.empty()) return merge(options, common);
  if (!options.report.empty()) return write_page(options.report, common);
  ORRERY_CHECK(common.seed >= 0, "batch needs a fixed --seed, found ", common.seed);
  ORRERY_CHECK(!batch.folder.empty(), "expected -o, the folder for the clips");
  batch.defaults.seed = static_cast<std::uint64_t>(common.seed);
  batch.defaults.model = common.model;
  batch.device = generating_device(common);
  choose_shard(options);
  batch.stop = stop_on_interrupt();
  batch.say = [](const std::string& line) { std::fprintf(stderr, "orrery: %s\n", line.c_str()); };
  if (options.dry_run) return print_plan(batch::plan_batch(batch), common.json);
  const std::unique_ptr<batch::JobQueue> queue = open_mpi_queue();
  batch.queue = queue.get();
  report(batch::run_batch(batch), options, common);
}

}  // namespace

void add_batch(CLI::App& app, CommonOptions& common) {
  CLI::App* command =
      app.add_subcommand("batch", "Many clips from a file of jobs; run again to go on where it stopped");
  auto options = std::make_shared<Options>();
  batch::BatchOptions& batch = options->batch;
  command->add_option("file", batch.jobs, "JSON Lines, CSV with a header, or a prompt a line (.txt)");
  command->add_option("-o,--out", batch.folder, "Folder of clips, manifest.jsonl and journals");
  command->add_option("--seconds", batch.defaults.seconds, "Length where a job gives none")->capture_default_str();
  command->add_option("--fps", batch.defaults.fps, "Frames a second where a job gives none (default: the model's, 24)");
  command->add_option("--temperature", batch.defaults.sampling.temperature, "0: always the most likely token")
      ->capture_default_str();
  command->add_option("--top-k", batch.defaults.sampling.top_k, "Only the k most likely tokens (0: no limit)")
      ->capture_default_str();
  command->add_option("--top-p", batch.defaults.sampling.top_p, "Only the most likely tokens up to this probability")
      ->capture_default_str();
  command
      ->add_option("--min-p", batch.defaults.sampling.min_p,
                   "Only tokens with this share of the most likely one's probability")
      ->capture_default_str();
  command
      ->add_option("--cfg-scale", batch.defaults.cfg_scale,
                   "Classifier-free guidance (1: of the first latent frame only)")
      ->capture_default_str();
  command->add_option("-W,--width", batch.width, "Pixels across (default 512)");
  command->add_option("-H,--height", batch.height, "Pixels down (default 512)");
  command->add_flag("--native", batch.native, "Write the model's own pixels");
  command->add_option("--format", batch.format, "mp4, mkv, webm or gif")->capture_default_str();
  command->add_option("-j,--jobs", batch.clips_at_once, "Clips drawn side by side by a thread (0: 16)")
      ->capture_default_str();
  command->add_flag("--score", batch.score, "Physics score of each clip in the manifest");
  command->add_option("--shard", options->shard, "Only shard i of n: i/n (default: Slurm's array task)");
  command->add_flag("--retry-failed", batch.retry_failed, "Take up jobs that failed before");
  command->add_flag("--skip-bad", batch.skip_bad, "Go on without the lines that are wrong");
  command->add_flag("--dry-run", options->dry_run, "Check all lines, print time, memory and disk, make nothing");
  command->add_option("--verify", options->verify, "Check the files of a folder against its manifest");
  command->add_option("--merge", options->merge, "Make one manifest, in -o, of those in these folders");
  command->add_option("--report", options->report, "Write index.html and sheet.png for a folder");
  command->add_flag("--force", batch.force, "Replace files that no batch made, and clips of other jobs");
  command->footer("Example: orrery batch jobs.jsonl -o clips");
  command->callback([options, &common] { run(*options, common); });
}

}  // namespace orrery::cli
