// The real window under Xvfb: a script plays, and the screenshots show what they should. Skipped with one line where
// Xvfb is missing.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/io/json.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/reader.h"
#include "video/io/writer.h"
#include "viewer/state/keys.h"

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

Json steps_script(Json steps) {
  Json script = Json::object({{"window", Json(Json::Array{1280, 800})}});
  script.set("steps", std::move(steps));
  return script;
}

// Plays the steps with the engine's world, or what `more` names; what it writes lies in the folder.
int play(const test::TemporaryFolder& folder, Json steps, const std::string& more = "--engine") {
  const std::string path = folder.path().string();
  std::ofstream(path + "/script.json") << steps_script(std::move(steps)).dump();
  return run(more + " --script " + path + "/script.json --screenshot-dir " + path + " -o " + path);
}

Json step(const char* kind, Json value) { return Json::object({{kind, std::move(value)}}); }
Json wait_for(const char* condition, Json value) {
  return step("until", Json::object({{condition, std::move(value)}}));
}

// The one line that the program leaves on stderr.
std::string only_line(const std::string& path) {
  std::ifstream file(path);
  std::string line, second;
  std::getline(file, line);
  CHECK_FALSE(std::getline(file, second));
  return line;
}

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
  CHECK(only_line(errors).find("orrery-viewer: no window") == 0);
  CHECK(run("--model /nowhere/at/all >" + errors + " 2>&1") == 2);
  CHECK(only_line(errors).find("/nowhere/at/all") != std::string::npos);
  // An older OpenGL, and a display that has none at all. Some versions of xvfb-run mix both outputs of what they run.
  const std::string xvfb = "xvfb-run -a -s '-screen 0 1400x900x24' ", no_glx = "xvfb-run -a -s '-extension GLX' ";
  CHECK(run("--engine >" + errors + " 2>&1", xvfb + "env MESA_GL_VERSION_OVERRIDE=2.1 ") == 2);
  CHECK(only_line(errors).find("OpenGL 3.3 is needed") != std::string::npos);
  CHECK(run("--engine >" + errors + " 2>&1", no_glx) == 2);
  CHECK(only_line(errors).find("OpenGL 3.3 is needed") != std::string::npos);
}

TEST_CASE("each key that help names comes in as that key and does something", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  Json steps = Json::array();
  steps.push_back(wait_for("frame", 5));
  for (const viewer::Binding& binding : viewer::bindings()) {
    if (binding.command == viewer::Command::quit) continue;  // the last one, below
    steps.push_back(step("key", binding.keys));
    steps.push_back(step("describe", std::string("key ") + binding.keys + ".json"));
  }
  steps.push_back(step("key", "Ctrl+Q"));
  steps.push_back(step("frames", 100000));  // which it does not live to see
  REQUIRE(play(folder, std::move(steps)) == 0);
  for (const viewer::Binding& binding : viewer::bindings()) {
    if (binding.command == viewer::Command::quit) continue;
    const Json facts = Json::read(folder / (std::string("key ") + binding.keys + ".json"));
    CHECK(facts.find("key")->as_string() == binding.keys);
  }
}

TEST_CASE("each control that is in sight says what it does", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  // The tabs one after the other, with a body followed, a second branch and the file list open.
  const char* const tabs[] = {"World", "Clip", "Physics", "Plots"};
  const auto begin = [] {
    Json steps = Json::array();
    for (Json& one : Json::Array{wait_for("frame", 20), step("key", "N"), wait_for("branches", 2),
                                 wait_for("frame", 30), step("key", "Space"), step("key", "P"), wait_for("judged", 1)})
      steps.push_back(std::move(one));
    return steps;
  };
  Json look = begin();
  for (const std::string tab : tabs) {
    look.push_back(step("click", "tab " + tab));
    look.push_back(step("frames", 3));
    look.push_back(step("describe", tab + ".json"));
  }
  REQUIRE(play(folder, std::move(look)) == 0);
  // What is no control: pictures, plots, numbers.
  const std::set<std::string> shown{"picture", "time", "score", "score strip"};
  Json hover = begin();
  std::vector<std::string> places;
  for (const std::string tab : tabs) {
    hover.push_back(step("click", "tab " + tab));
    hover.push_back(step("frames", 3));
    const Json facts = Json::read(folder / (tab + ".json"));
    for (const JsonMember& place : facts.find("places")->as_object()) {
      if (shown.count(place.key) > 0 || place.key.rfind("plot ", 0) == 0) continue;
      places.push_back(tab + ", " + place.key);
      hover.push_back(step("hover", place.key));
      hover.push_back(step("describe", "tip " + std::to_string(places.size()) + ".json"));
    }
  }
  CHECK(places.size() > 100);
  REQUIRE(play(folder, std::move(hover)) == 0);
  std::set<std::string> said;
  for (std::size_t i = 0; i < places.size(); ++i) {
    INFO(places[i]);
    const std::string tip =
        Json::read(folder / ("tip " + std::to_string(i + 1) + ".json")).find("tooltip")->as_string();
    CHECK_FALSE(tip.empty());
    said.insert(tip);
  }
  CHECK(said.size() > 40);  // not the same one everywhere
}

// Beside the pointer's test, which sees only what is in sight.
TEST_CASE("in the panels' sources a tooltip follows each control", "[panels]") {
  const std::set<std::string> controls{"Button",     "InvisibleButton", "Selectable",        "Checkbox",
                                       "SliderInt",  "SliderFloat",     "InputTextWithHint", "InputScalar",
                                       "BeginCombo", "BeginTabItem",    "RadioButton",       "SmallButton"};
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(ORRERY_SOURCE_DIR "/viewer/panels")) {
    if (entry.path().extension() != ".cc") continue;
    std::ifstream file(entry.path());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    const auto control = [&](std::size_t i) {
      for (const std::string& name : controls)
        if (lines[i].find("ImGui::" + name + "(") != std::string::npos) return name;
      return std::string();
    };
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string name = control(i);
      if (name.empty() || lines[i].find("##picture") != std::string::npos) continue;  // the stage is no control
      ++found;
      bool explained = false;
      for (std::size_t j = i; j < std::min(lines.size(), i + 20) && !explained; ++j) {
        if (j > i && name != "BeginCombo" && !control(j).empty()) break;  // a combo's own follows its entries
        explained = lines[j].find("tooltip(") != std::string::npos;
      }
      INFO(entry.path().filename().string() << ":" << i + 1 << ": " << lines[i]);
      CHECK(explained);
    }
  }
  CHECK(found > 20);
}

TEST_CASE("what is dropped on the window is opened: a clip, two beside each other, a folder", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "clips");
  const std::string a = (folder / "clips" / "a.mkv").string(), b = (folder / "clips" / "b.mkv").string();
  for (const auto& [path, level] : {std::pair(a, 40), {b, 220}}) {
    Clip clip;
    clip.frames.assign(24, Frame(64, 64, static_cast<std::uint8_t>(level)));
    write_video(path, clip);
  }
  Json steps = Json::array();
  const auto add = [&](Json one) { steps.push_back(std::move(one)); };
  add(wait_for("frame", 5));
  add(step("drop", Json(Json::Array{a})));
  add(wait_for("open", true));
  add(step("frames", 5));
  add(step("screenshot", "one.png"));
  add(step("drop", Json(Json::Array{a, b})));
  add(wait_for("open", true));
  add(step("frames", 20));
  add(step("screenshot", "two.png"));
  add(step("drop", Json(Json::Array{(folder / "clips").string()})));
  add(step("frames", 20));
  add(step("describe", "sheet.json"));
  REQUIRE(play(folder, std::move(steps)) == 0);
  const Shot one = read_shot(folder, "one"), two = read_shot(folder, "two");
  CHECK(one.facts.find("title")->as_string() == "a.mkv");
  CHECK(count_pixels(one, "picture", [](const std::uint8_t* p) { return near(p, 40, 40, 40); }) > 10000);
  CHECK(two.facts.find("view")->as_string() == "side by side");
  CHECK(count_pixels(two, "other picture", [](const std::uint8_t* p) { return near(p, 220, 220, 220); }) > 10000);
  const Json sheet = Json::read(folder / "sheet.json");
  CHECK(sheet.find("places")->find("clip 2") != nullptr);
}

TEST_CASE("what is drawn where it changed is, to the byte, what is drawn as a whole", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  const std::string video = (folder / "large.mkv").string();
  Clip clip;  // larger than the window shows it, and only a corner moves
  for (int i = 0; i < 24; ++i) {
    Frame frame(900, 700, 90);
    for (int y = 0; y < 60; ++y) std::fill_n(frame.at(10 * i, 600 + y), 60 * 3, static_cast<std::uint8_t>(200 + i));
    clip.frames.push_back(frame);
  }
  write_video(video, clip);
  Json steps = Json::array();
  std::vector<std::string> names;
  const auto add = [&](Json one) { steps.push_back(std::move(one)); };
  const auto shot = [&](int frames, const std::string& name) {
    add(step("frames", frames));
    add(step("screenshot", name + ".png"));
    names.push_back(name);
  };
  const auto drag = [&](const char* place, double u, double v, double to_u, double to_v) {
    Json one = step("drag", place);
    one.set("from", Json(Json::Array{u, v}));
    one.set("to", Json(Json::Array{to_u, to_v}));
    add(std::move(one));
  };
  add(wait_for("frame", 10));
  shot(1, "playing");
  add(step("click", "tab Plots"));
  shot(40, "plots");
  drag("picture", 0.25, 0.5, 0.6, 0.45);
  shot(20, "pushed");
  add(step("hover", "record"));
  shot(1, "tooltip");
  add(step("key", "F1"));
  shot(4, "help");
  add(step("key", "Esc"));
  shot(4, "no help");
  add(step("key", "F4"));
  shot(4, "other theme");
  add(step("key", "F3"));
  shot(10, "times");
  add(step("key", "F5"));
  shot(10, "full screen");
  add(step("key", "F5"));
  shot(10, "window again");
  add(step("key", "P"));
  add(wait_for("judged", 1));
  for (const char* key : {"T", "V"}) add(step("key", key));
  shot(6, "tracks");
  add(step("key", "O"));
  shot(10, "difference");
  add(step("click", "tab World"));
  add(step("click", "corruption"));
  shot(4, "list open");
  add(step("key", "Esc"));
  drag("timeline", 0.1, 0.3, 0.02, 0.3);
  shot(3, "scrubbed");
  add(step("drop", Json(Json::Array{video})));
  add(wait_for("open", true));
  shot(15, "video");
  shot(7, "video later");
  add(step("key", "Z"));
  shot(7, "zoomed");
  Json script = steps_script(std::move(steps));
  script.set("whole", true);
  const std::string path = folder.path().string();
  std::ofstream(path + "/script.json") << script.dump();
  REQUIRE(run("--engine --script " + path + "/script.json --screenshot-dir " + path + " -o " + path) == 0);
  double least = 1;
  for (const std::string& name : names) {
    INFO(name);
    const Shot drawn = read_shot(folder, name);
    CHECK(drawn.frame == read_image((folder / (name + "-whole.png")).string()));
    least = std::min(least, drawn.facts.find("drawn_share_changed")->as_number());
  }
  CHECK(least < 0.5);  // parts were drawn indeed
}

TEST_CASE("a window that closes while it records leaves a file that plays", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  Json steps = Json::array();
  for (Json& one : Json::Array{wait_for("frame", 5), step("key", "R"), step("frames", 60)})
    steps.push_back(std::move(one));
  REQUIRE(play(folder, std::move(steps)) == 0);
  CHECK(read_video((folder / "recording-1.mp4").string()).frames.size() > 20);
}

TEST_CASE("letters and controls grow with the scale, and all stays in the window", "[window]") {
  if (!have_xvfb()) return;
  const test::TemporaryFolder folder;
  Json sizes[2];
  for (const int scale : {1, 2}) {
    Json steps = Json::array();
    steps.push_back(wait_for("frame", 5));
    steps.push_back(step("describe", "scale.json"));
    REQUIRE(play(folder, std::move(steps), "--engine --scale " + std::to_string(scale)) == 0);
    sizes[scale - 1] = Json::read(folder / "scale.json");
  }
  const auto side = [&](int scale, const char* place, std::size_t which) {
    return static_cast<double>(sizes[scale - 1].find("places")->find(place)->as_array()[which].as_integer());
  };
  for (const char* place : {"play", "open", "seed", "record"}) {
    INFO(place);
    CHECK(side(2, place, 3) == Approx(2 * side(1, place, 3)).margin(2));
  }
  for (const char* place : {"open", "help", "record", "screenshot"}) {
    INFO(place);
    CHECK(side(2, place, 0) + side(2, place, 2) <= 1280);
    CHECK(side(2, place, 1) + side(2, place, 3) <= 800);
  }
}
