#include "apps/orrery/app.h"

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/tensor/device.h"

namespace orrery::cli {

namespace {

void apply(const CommonOptions& common) {
  if (common.threads > 0) set_thread_count(common.threads);
  if (common.verbose) set_log_level(LogLevel::debug);
  if (common.quiet) set_log_level(LogLevel::warning);
  if (common.quiet || common.json) Progress::set_enabled(false);
  if (common.device == "cuda") device_from_name(common.device);  // says why there is none
}

}  // namespace

int run_app(int argc, char** argv, const char* name, void (*add_commands)(CLI::App& app, CommonOptions& common)) {
  CLI::App app{"Orrery: a unified world-model and video generation toolkit", name};
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
  add_commands(app, common);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 2;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return static_cast<int>(error.blame());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
  return common.exit_code;
}

}  // namespace orrery::cli
