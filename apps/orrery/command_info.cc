// orrery info: what a model, a clip or this build is.
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/video_info.h"
#include "core/base/parallel.h"

namespace orrery::cli {

void add_info(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("info", "What a model or a clip is; without an argument, this build");
  auto path = std::make_shared<std::string>();
  command->add_option("file", *path, "A video or a picture");
  command->footer("Example: orrery info clip.mp4 --json");
  command->callback([&common, path] {
    if (!path->empty()) {
      print_video_info(*path, common.json);
    } else if (common.json) {
      std::printf("{\"version\": \"0.1.0\", \"threads\": %d}\n", thread_count());
    } else {
      std::printf("orrery 0.1.0, %d threads\n", thread_count());
    }
  });
}

}  // namespace orrery::cli
