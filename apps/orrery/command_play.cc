// orrery play: opens the window, which is a program of its own (orrery-viewer).
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "core/base/error.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;

// Beside this program where it is installed, in its own folder where it is built, else wherever PATH finds it.
std::string find_viewer() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& place : {self / "orrery-viewer", self.parent_path() / "viewer" / "orrery-viewer"})
    if (std::error_code missing; !self.empty() && fs::is_regular_file(place, missing)) return place.string();
  return "orrery-viewer";
}

void play(const std::vector<std::string>& rest, const CommonOptions& common) {
  std::vector<std::string> words = {find_viewer()};
  if (!common.model.empty()) words.insert(words.end(), {"--model", common.model});
  const std::uint64_t seed = common.seed < 0 ? std::random_device{}() : static_cast<std::uint64_t>(common.seed);
  if (common.seed < 0) std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  words.insert(words.end(), {"--seed", std::to_string(seed)});
  words.insert(words.end(), rest.begin(), rest.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  throw Error(std::string("[play] cannot start ") + words[0] + ": " + std::strerror(errno) +
              "; it is built with -DORRERY_VIEWER=ON");
}

}  // namespace

void add_play(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("play", "Open the window: watch, steer and compare worlds");
  command->prefix_command();
  command->footer("Example: orrery play clip.mp4 (orrery-viewer --help lists the options)");
  command->callback([&common, command] { play(command->remaining(), common); });
}

}  // namespace orrery::cli
