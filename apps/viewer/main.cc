// orrery-viewer: the window.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/pipeline/loaded_model.h"
#include "core/base/error.h"
#include "viewer/window/window.h"

namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string model, prompt, script, screenshot_folder = ".", screenshot, folder = ".", scene;
  std::uint64_t seed = 42;
  std::int64_t frames = 24;
  int width = 0, height = 0;
  float scale = 1;
  bool engine = false;
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("files", arguments.files, "A video to open; a second one is compared with it")->expected(0, 2);
  app.add_option("-m,--model", arguments.model, "Model folder (default: the shipped model)");
  app.add_flag("--engine", arguments.engine, "The physics engine makes the worlds, without a model");
  app.add_option("-p,--prompt", arguments.prompt, "What to make first");
  app.add_option("--scene", arguments.scene, "The engine's world to start with, by its name in orrery simulate --list");
  app.add_option("-s,--seed", arguments.seed, "Its seed")->capture_default_str();
  app.add_option("-o,--output", arguments.folder, "Folder for recordings and screenshots")->capture_default_str();
  app.add_option("-W,--width", arguments.width, "The window's width (default: as it was)")
      ->check(CLI::Range(480, 8192));
  app.add_option("-H,--height", arguments.height, "The window's height")->check(CLI::Range(360, 8192));
  app.add_option("--scale", arguments.scale, "Size of letters and controls")
      ->check(CLI::Range(0.5f, 4.0f))
      ->capture_default_str();
  app.add_option("--script", arguments.script, "Play keys and clicks from this JSON file, then close");
  app.add_option("--screenshot-dir", arguments.screenshot_folder, "Folder for the script's screenshots")
      ->capture_default_str();
  app.add_option("--screenshot", arguments.screenshot, "Take one screenshot (PNG) and close");
  app.add_option("--frames", arguments.frames, "The frame at which --screenshot is taken")->capture_default_str();
  app.footer("Example: orrery-viewer clip.mp4");
}

void run(const Arguments& arguments) {
  using namespace orrery;
  namespace fs = std::filesystem;
  viewer::SessionOptions options;
  options.folder = arguments.folder;
  const bool scripted = !arguments.script.empty() || !arguments.screenshot.empty();
  if (!scripted) options.settings = viewer::settings_path();
  options.no_model = "started with --engine";
  if (!arguments.engine) {
    try {
      options.model = pipeline::find_model(arguments.model);
      ORRERY_CHECK(fs::is_directory(options.model), "no model: ", options.model, " is no folder");
    } catch (const InputError& error) {
      if (!arguments.model.empty()) throw;
      options.no_model = error.what();
    }
  }
  viewer::WindowOptions window;
  window.width = arguments.width, window.height = arguments.height, window.scale = arguments.scale;
  window.screenshot_folder = arguments.screenshot_folder;
  if (!arguments.script.empty()) window.script = viewer::read_script(arguments.script);
  if (!arguments.screenshot.empty()) {
    const fs::path path(arguments.screenshot);
    window.screenshot_folder = path.has_parent_path() ? path.parent_path().string() : ".";
    window.script = viewer::screenshot_script(arguments.frames, path.filename().string());
  }
  for (const std::string& folder : {arguments.folder, window.screenshot_folder})
    ORRERY_CHECK(fs::is_directory(folder), "there is no folder ", folder);
  viewer::Session session(options);
  session.form.seed = arguments.seed;
  if (!arguments.prompt.empty()) session.form.prompt = arguments.prompt;
  session.form.scene = arguments.scene;
  if (!arguments.files.empty()) {
    session.open(arguments.files[0]);
    if (arguments.files.size() > 1) session.open_beside(arguments.files[1]);
  } else if (!arguments.scene.empty()) {
    session.start_scene();
  } else {
    session.start_prompt();
  }
  viewer::run_window(session, window);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Orrery's window: watch, steer, compare and judge worlds", "orrery-viewer"};
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
    run(arguments);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "orrery-viewer: %s\n", error.what());
    return 2;
  } catch (const orrery::Error& error) {
    std::fprintf(stderr, "orrery-viewer: %s\n", error.what());
    return static_cast<int>(error.blame());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "orrery-viewer: %s\n", error.what());
    return 1;
  }
}
