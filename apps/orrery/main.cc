// The command line: common options, one line a subcommand, and errors turned into one line and an exit code.
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"

namespace {

void apply(const orrery::cli::CommonOptions& common) {
  if (common.threads > 0) orrery::set_thread_count(common.threads);
  if (common.verbose) orrery::set_log_level(orrery::LogLevel::debug);
  if (common.quiet) orrery::set_log_level(orrery::LogLevel::warning);
  if (common.quiet || common.json) orrery::Progress::set_enabled(false);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace orrery::cli;
  CLI::App app{"Orrery: a unified world-model and video generation toolkit", "orrery"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "orrery 0.1.0");
  CommonOptions common;
  app.add_option("--device", common.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--threads", common.threads, "Threads to use (0: all cores)")->capture_default_str();
  app.add_option("-s,--seed", common.seed, "Seed; below 0: random, and printed")->capture_default_str();
  app.add_option("-m,--model", common.model, "Model folder (default: the shipped model)");
  app.add_flag("--json", common.json, "Print one JSON object on stdout and nothing else");
  app.add_flag("-q,--quiet", common.quiet, "No progress");
  app.add_flag("-v,--verbose", common.verbose, "Log what happens");
  app.parse_complete_callback([&common] { apply(common); });
  add_generate(app, common);
  add_replay(app, common);
  add_describe(app, common);
  add_bench(app, common);
  add_batch(app, common);
  add_encode(app, common);
  add_decode(app, common);
  add_convert(app, common);
  add_info(app, common);
  add_data(app, common);
  add_simulate(app, common);
  add_score(app, common);
  add_train(app, common);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "orrery: %s\n", error.what());
    return 2;
  } catch (const orrery::Error& error) {
    std::fprintf(stderr, "orrery: %s\n", error.what());
    return static_cast<int>(error.blame());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "orrery: %s\n", error.what());
    return 1;
  }
  return common.exit_code;
}
