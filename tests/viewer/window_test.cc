// The real window under Xvfb: a script plays, and the screenshots show what they should. Skipped with one line where
// Xvfb is missing.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/io/json.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/reader.h"

using namespace orrery;

namespace {

bool have_xvfb() {
  if (std::system("command -v xvfb-run >/dev/null 2>&1") == 0) return true;
  WARN("skipped: no xvfb-run here (package xvfb)");
  return false;
}

int run(const std::string& arguments, const std::string& display = "xvfb-run -a -s '-screen 0 1400x900x24' ") {
  const int status = std::system((display + ORRERY_VIEWER_PROGRAM " " + arguments).c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct Shot {
  Frame frame;
  Json facts;
};

Shot read_shot(const test::TemporaryFolder& folder, const std::string& name) {
  return {read_image((folder / (name + ".png")).string()), Json::read((folder / (name + ".json")).string())};
}

template <class Test>
int count_pixels(const Shot& shot, const std::string& place, Test test) {
  const Json* rect = shot.facts.find("places")->find(place);
  REQUIRE(rect != nullptr);
  std::vector<int> r;
  for (const Json& value : rect->as_array()) r.push_back(static_cast<int>(value.as_integer()));
  int count = 0;
  for (int y = std::max(0, r[1]); y < std::min(shot.frame.height(), r[1] + r[3]); ++y)
    for (int x = std::max(0, r[0]); x < std::min(shot.frame.width(), r[0] + r[2]); ++x)
      count += test(shot.frame.at(x, y));
  return count;
}

bool is_red(const std::uint8_t* p) { return p[0] > 170 && p[1] < 80 && p[2] < 80; }
bool near(const std::uint8_t* p, int r, int g, int b) {
  return std::abs(p[0] - r) < 24 && std::abs(p[1] - g) < 24 && std::abs(p[2] - b) < 24;
}

}  // namespace

TEST_CASE("the tour: play, push, judge, plot, branch, record, type a prompt", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  const std::string path = folder.path().string();
  REQUIRE(run("--engine --script " ORRERY_SOURCE_DIR "/tests/viewer/tour.json --screenshot-dir " + path + " -o " +
              path) == 0);

  const Shot playing = read_shot(folder, "playing");
  CHECK(count_pixels(playing, "picture", is_red) > 2000);  // the ball
  CHECK(playing.facts.find("kind")->as_string() == "engine");

  const Shot physics = read_shot(folder, "physics");
  CHECK(physics.facts.find("score") != nullptr);
  CHECK_FALSE(physics.facts.find("playing")->as_bool());
  // The track's ring and trail in the palette's first colour; none before.
  const auto is_track = [](const std::uint8_t* p) { return near(p, 0x56, 0xB4, 0xE9); };
  CHECK(count_pixels(physics, "picture", is_track) > 100);
  CHECK(count_pixels(playing, "picture", is_track) == 0);

  const Shot plots = read_shot(folder, "plots");
  const auto is_truth = [](const std::uint8_t* p) { return near(p, 0xE6, 0x9F, 0x00); };
  for (const char* plot : {"plot height", "plot speed", "plot energy"}) CHECK(count_pixels(plots, plot, is_truth) > 60);

  const Shot branches = read_shot(folder, "branches");
  CHECK(branches.facts.find("branches")->as_integer() == 2);
  CHECK(read_shot(folder, "help").facts.find("places")->find("help window") != nullptr);
  CHECK(read_video((folder / "recording-1.mp4").string()).frames.size() > 20);

  const Shot prompt = read_shot(folder, "prompt");
  CHECK(prompt.facts.find("title")->as_string() == "two balls collide");
}

TEST_CASE("the shipped model's tour: prompt, heat maps, truth and difference, push, branch, record", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  const std::string path = folder.path().string();
  REQUIRE(run("-m " ORRERY_SOURCE_DIR "/models/orrery-64 --script " ORRERY_SOURCE_DIR
              "/tests/viewer/model_tour.json --screenshot-dir " +
              path + " -o " + path) == 0);
  const auto is_blue = [](const std::uint8_t* p) { return p[2] > 150 && p[0] < 110 && p[1] < 130; };
  const auto is_yellow = [](const std::uint8_t* p) { return p[0] > 220 && p[1] > 200 && p[2] < 90; };
  const Shot model = read_shot(folder, "model");
  CHECK(model.facts.find("kind")->as_string() == "model");
  CHECK(model.facts.find("title")->as_string() == "a blue ball bounces on the floor");
  CHECK(count_pixels(model, "picture", is_blue) > 1500);  // the ball
  const Shot beside = read_shot(folder, "beside");
  // The model may let the colour slip to a neighbour; that there is a ball is what the window owes.
  const auto is_strong = [](const std::uint8_t* p) {
    return std::max({p[0], p[1], p[2]}) - std::min({p[0], p[1], p[2]}) > 100;
  };
  CHECK(count_pixels(beside, "picture", is_strong) > 500);
  CHECK(count_pixels(beside, "other picture", is_blue) > 500);
  // Model and engine never agree to the pixel: the ball's rim at least is bright.
  CHECK(count_pixels(read_shot(folder, "difference"), "picture", is_yellow) > 300);

  // The veil of doubt changes the picture all over; experts come in at least three of their colours.
  const Shot unsure = read_shot(folder, "unsure");
  CHECK(unsure.facts.find("heat")->as_string() == "unsure");
  const Shot experts = read_shot(folder, "experts");
  CHECK(experts.facts.find("heat")->as_string() == "experts");
  int loaded = 0;
  for (const std::array<int, 3>& colour : {std::array{0x56, 0xB4, 0xE9},
                                           {0xE6, 0x9F, 0x00},
                                           {0x2F, 0xC7, 0x9A},
                                           {0xF0, 0xE4, 0x42},
                                           {0xCC, 0x79, 0xA7},
                                           {0xD5, 0x5E, 0x00},
                                           {0x00, 0x72, 0xB2},
                                           {0x9A, 0xA0, 0xA6}})
    loaded += count_pixels(experts, "load 2",
                           [&](const std::uint8_t* p) { return near(p, colour[0], colour[1], colour[2]); }) > 20
                  ? 1
                  : 0;
  CHECK(loaded >= 3);
  const Shot attention = read_shot(folder, "attention");
  CHECK(count_pixels(attention, "picture", [](const std::uint8_t* p) { return near(p, 255, 255, 255); }) > 200);
  CHECK(attention.facts.find("places")->find("looked 1") != nullptr);

  CHECK(read_shot(folder, "branched").facts.find("branches")->as_integer() == 2);
  CHECK(read_video((folder / "recording-1.mp4").string()).frames.size() > 10);
}

TEST_CASE("what cannot be shown is said in the window, or in one line", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  const std::string broken = (folder / "broken.mp4").string(), script = (folder / "script.json").string();
  std::ofstream(broken) << "no video";
  std::ofstream(script)
      << R"({"window": [900, 600], "steps": [{"until": {"open": true}}, {"frames": 3}, {"screenshot": "broken.png"}]})";
  CHECK(run("--engine --script " + script + " --screenshot-dir " + folder.path().string() + " " + broken) == 0);
  const Shot shot = read_shot(folder, "broken");
  CHECK(shot.facts.find("error")->as_string().find("broken.mp4") != std::string::npos);
  REQUIRE(shot.facts.find("notices")->as_array().size() == 1);

  // No display: one line, exit code 2.
  const std::string errors = (folder / "errors").string();
  CHECK(run("--engine 2>" + errors, "env -u DISPLAY -u WAYLAND_DISPLAY ") == 2);
  std::ifstream file(errors);
  std::string line, second;
  std::getline(file, line);
  CHECK(line.find("orrery-viewer: no window") == 0);
  CHECK_FALSE(std::getline(file, second));
  CHECK(run("--model /nowhere/at/all 2>/dev/null") == 2);
}
