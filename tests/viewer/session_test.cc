// The session: what keys do, what is compared, judged, recorded.
#include "viewer/state/session.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/reader.h"
#include "video/io/writer.h"
#include "viewer/state/difference.h"
#include "viewer/state/plots.h"
#include "viewer/state/script.h"

using namespace orrery;
using namespace orrery::viewer;

namespace {

SessionOptions options_in(const test::TemporaryFolder& folder, bool model = false) {
  SessionOptions options;
  options.folder = folder.path().string();
  options.no_model = "no model here";
  options.world_size = 64;
  if (model) {
    std::filesystem::create_directory(folder / "model");
    options.model = (folder / "model").string();
    test::write_tiny_model(options.model);
  }
  return options;
}

// Time passes, and what is on its way arrives.
void pass(Session& session, double seconds) {
  const double step = 1.0 / 24;
  for (double t = 0; t < seconds - 1e-9; t += step) {
    session.settle();
    session.tick(step);
  }
}

void press(Session& session, char key) { session.press({letter(key)}); }

}  // namespace

TEST_CASE("a prompt starts a world, and nonsense is a notice", "[session]") {
  const test::TemporaryFolder folder;
  Session session(options_in(folder));
  CHECK_FALSE(session.watching());
  session.form.prompt = "  ";
  session.start_prompt();
  CHECK_FALSE(session.watching());
  REQUIRE(session.notices().size() == 1);
  CHECK(session.notices()[0].kind == Notice::Kind::error);
  session.form.prompt = "a red ball bounces on the floor";
  session.start_prompt();
  pass(session, 1);
  CHECK(session.info().kind == ReelKind::engine);
  CHECK(session.playhead().frame() >= 20);
  CHECK(session.main_picture() != nullptr);
  // The thread stays a few frames ahead, no more.
  CHECK(session.info().frames <= session.playhead().frame() + 8);
  session.form.maker = Maker::model;
  session.start_prompt();
  CHECK(session.notices().back().text == "no model here");
}

TEST_CASE("pushes at the newest frame act at once, earlier ones make a branch", "[session]") {
  const test::TemporaryFolder folder;
  Session session(options_in(folder));
  session.form.prompt = "a red ball bounces on the floor";
  session.start_prompt();
  pass(session, 1);
  session.press({Key::right});
  pass(session, 1);
  REQUIRE(session.live_run()->branches().size() == 1);
  CHECK(session.live_run()->branches()[0].actions.size() == 1);
  press(session, ' ');
  CHECK_FALSE(session.playhead().playing());
  session.seek(10);
  session.press({Key::right});  // paused: a frame on
  CHECK(session.playhead().frame() == 11);
  session.push({worlds::Push::up, 0.5, 0.5});
  pass(session, 1);
  REQUIRE(session.live_run()->branches().size() == 2);
  CHECK(session.live_run()->current() == 1);
  CHECK(session.live_run()->branches()[1].begin == 12);
  session.press({Key::open_bracket});
  CHECK(session.live_run()->current() == 0);
  session.compare_branch(1);
  CHECK(session.view() == View::side_by_side);
  CHECK(session.other_name() == "branch 2");
  pass(session, 0.2);
  CHECK(session.composed()->width() == 64 + 4 + 64);
  press(session, 'M');  // nobody in control
  session.playhead().play();
  session.press({Key::left});
  CHECK_FALSE(session.playhead().playing());
}

TEST_CASE("the model's world has the engine's truth beside it", "[session]") {
  const test::TemporaryFolder folder;
  Session session(options_in(folder, true));
  session.form.prompt = "a ball bounces";  // the tiny model takes few words
  session.start_prompt();
  pass(session, 1);
  REQUIRE(session.info().error == "");
  CHECK(session.info().kind == ReelKind::model);
  CHECK(session.has_other());
  CHECK(session.other_name() == "truth");
  const Uncertainty unsure = session.uncertainty();
  REQUIRE(unsure.bits.size() == 16);
  CHECK(unsure.rows == 4);
  CHECK(unsure.columns == 4);
  CHECK(unsure.most == 4);
  CHECK(session.world_tokens_a_second() > 0);
  press(session, 'G');
  CHECK(session.composed() == session.other_picture());
  press(session, 'O');
  REQUIRE(session.composed() != nullptr);
  CHECK(*session.composed() == difference(*session.main_picture(), *session.other_picture()));
  CHECK(session.composed() == session.composed());  // not computed anew
  press(session, 'O');
  CHECK(session.view() == View::picture);
  session.form.seed = 77;
  session.playhead().step(-12);
  press(session, 'N');
  pass(session, 0.5);
  REQUIRE(session.live_run()->branches().size() == 2);
  CHECK(session.live_run()->branches()[1].settings.seed == 77);
}

TEST_CASE("a push shows in the model's world within two latent frames", "[session]") {
  constexpr std::int64_t kLatent = 4;  // frames
  const test::TemporaryFolder folder;
  const SessionOptions options = options_in(folder, true);
  const auto begin = [](Session& session, std::int64_t frame) {
    session.form.prompt = "a ball bounces";
    session.start_prompt();
    while (session.playhead().frame() < frame) pass(session, 1.0 / 24);
    // The thread has made what it is wanted to make: the latest moment at which a push can come in.
    for (std::int64_t before = -1; std::exchange(before, session.info().frames) != session.info().frames;)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  for (const std::int64_t frame : {20, 21, 22, 23}) {
    Session calm(options), pushed(options);
    begin(calm, frame);
    begin(pushed, frame);
    pushed.press({Key::right});
    REQUIRE(pushed.live_run()->branches().size() == 1);
    pass(calm, 0.6);
    pass(pushed, 0.6);
    std::int64_t first = frame;
    while (first < frame + 3 * kLatent &&
           *calm.live_run()->picture(-1, first) == *pushed.live_run()->picture(-1, first))
      ++first;
    INFO("pushed at frame " << frame << ", the first other one is " << first);
    CHECK(first > frame);
    CHECK(first <= frame + 2 * kLatent);
  }
}

TEST_CASE("one looks inside the model at the frame that is shown", "[session]") {
  const test::TemporaryFolder folder;
  Session session(options_in(folder, true));
  press(session, 'A');  // no model's world yet
  CHECK(session.shown.heat == Heat::none);
  CHECK(session.notices().size() == 1);
  session.form.prompt = "a ball bounces";
  session.start_prompt();
  pass(session, 0.6);
  CHECK(session.inside() == nullptr);  // nobody asked
  press(session, ' ');
  press(session, 'A');
  session.tick(0);
  session.settle();
  auto found = session.inside();
  REQUIRE(found != nullptr);
  REQUIRE(found->error == "");
  CHECK(found->latent == (session.playhead().frame() + 3) / 4);
  CHECK(found->pictures.size() == found->insight.earlier() + 1);
  CHECK(found->pictures[0] != nullptr);
  CHECK(found->insight.rows() == 4);
  session.shown.target_u = 0.99, session.shown.target_v = 0.3;
  CHECK(session.marked_cell(4, 4) == 7);
  session.seek(0);  // another latent frame: the old answer is not shown for it
  session.tick(0);
  session.settle();
  found = session.inside();
  REQUIRE(found != nullptr);
  CHECK(found->latent == 0);
  CHECK(found->pictures.size() == 1);
  press(session, 'A');
  CHECK(session.shown.heat == Heat::none);
}

TEST_CASE("what is watched can be recorded and saved, also when the session ends in between", "[session]") {
  const test::TemporaryFolder folder;
  {
    Session session(options_in(folder));
    session.form.prompt = "a red ball bounces on the floor";
    session.start_prompt();
    pass(session, 0.5);
    press(session, 'R');
    pass(session, 0.5);
    press(session, 'R');
    CHECK_FALSE(session.recording());
    session.run(Command::save_clip);
    while (session.saved() < 2) session.tick(0);
    press(session, 'R');
    pass(session, 0.5);
  }
  const Clip first = read_video((folder / "recording-1.mp4").string());
  CHECK(first.frames.size() >= 10);
  CHECK(first.frames[0].width() == 512);
  CHECK(read_video((folder / "recording-2.mp4").string()).frames.size() >= 10);
  CHECK(read_video((folder / "clip-1.mp4").string()).frames.size() > first.frames.size());
  CHECK(read_metadata((folder / "recording-1.mp4").string()).find("orrery-viewer") != std::string::npos);
}

TEST_CASE("a clip is judged, its worst frame found and its body plotted", "[session]") {
  const test::TemporaryFolder folder;
  Session session(options_in(folder));
  session.form.scene = "bounce";
  session.form.corruption = "teleport";
  session.form.corrupt_frame = 20;
  session.start_scene();
  pass(session, 2);
  press(session, 'P');
  session.settle();
  const auto found = session.judgement();
  REQUIRE(found != nullptr);
  CHECK(found->error == "");
  CHECK(found->score.violated);
  press(session, 'W');
  CHECK(std::abs(session.playhead().frame() - 20) <= 3);
  CHECK_FALSE(session.playhead().playing());
  REQUIRE_FALSE(session.trails().empty());
  CHECK(std::isnan(found->at(100000)));
  const auto plots = plots_of(session, 6);
  REQUIRE(plots.size() == 5);
  CHECK(plots[0].series.size() == 2);
  const Trail trail = session.trails()[0];
  session.pick(trail.now.u, trail.now.v);
  CHECK(session.shown.picked == trail.id);
  // Tracked and true heights are the same to a pixel or two.
  const Series &truth = plots[0].series[0], &tracked = plots[0].series[1];
  CHECK(tracked.value[5] == Approx(truth.value[5]).margin(2.0 / 64));
}

TEST_CASE("two files are compared at the same moment", "[session]") {
  const test::TemporaryFolder folder;
  Clip clip;
  for (int i = 0; i < 30; ++i) clip.frames.emplace_back(16, 16, static_cast<std::uint8_t>(i));
  const std::string a = (folder / "a.mkv").string(), b = (folder / "b.mkv").string();
  write_video(a, clip);
  clip.fps = 12;
  write_video(b, clip);
  Session session(options_in(folder));
  session.open(a);
  session.open_beside(b);
  session.settle();
  session.tick(0);
  session.playhead().pause();
  session.seek(20);
  session.tick(0);
  session.settle();
  CHECK(session.main_picture()->at(0, 0)[0] == 20);
  CHECK(session.other_picture()->at(0, 0)[0] == 10);
  session.set_view(View::difference);
  CHECK(session.composed() != nullptr);
  session.open((folder / "missing.mp4").string());
  CHECK_FALSE(session.has_other());
  session.settle();
  session.tick(0);
  REQUIRE_FALSE(session.notices().empty());
  CHECK(session.notices().back().kind == Notice::Kind::error);
}

TEST_CASE("differences are dark where nothing differs and bright where all does", "[session]") {
  Frame a(4, 4, 100), b(4, 4, 100);
  for (int c = 0; c < 3; ++c) b.at(2, 1)[c] = 255;
  const Frame shown = difference(a, b);
  CHECK(shown.at(0, 0)[0] < 80);
  CHECK(shown.at(2, 1)[0] > 240);
  CHECK(shown.at(2, 1)[2] < 80);  // yellow
  CHECK_THROWS_AS(difference(Frame(), b), InputError);
}

TEST_CASE("settings come back, and a broken file is no reason not to start", "[session]") {
  const test::TemporaryFolder folder;
  SessionOptions options = options_in(folder);
  options.settings = (folder / "settings" / "viewer.json").string();
  {
    Session session(options);
    session.shown.dark = false;
    session.open("some/clip.mp4");
    session.form.prompt = "two balls collide";
    session.start_prompt();
  }
  Session again(options);
  CHECK_FALSE(again.shown.dark);
  REQUIRE(again.settings().recent_files.size() == 1);
  CHECK(again.settings().recent_prompts == std::vector<std::string>{"two balls collide"});
  std::filesystem::resize_file(options.settings, 20);
  CHECK(Settings::read(options.settings).recent_files.empty());
}

TEST_CASE("scripts are read strictly", "[script]") {
  const Script script = parse_script(R"({"window": [800, 600], "steps": [{"key": "Ctrl+E"}, {"click": "play"},
      {"drag": "picture", "from": [0.1, 0.2], "to": [0.3, 0.4]}, {"until": {"frame": 24}}, {"screenshot": "a.png"},
      {"drop": ["b.mp4", "c"]}, {"hover": "play"}, {"describe": "a.json"}]})",
                                     "s");
  REQUIRE(script.steps.size() == 8);
  CHECK(script.width == 800);
  CHECK(script.steps[0].press == KeyPress{letter('E'), false, true});
  CHECK(script.steps[2].to_u == 0.3);
  CHECK(script.steps[3].count == 24);
  CHECK(script.steps[5].files == std::vector<std::string>{"b.mp4", "c"});
  for (const char* wrong : {R"({})", R"({"steps": []})", R"({"steps": [{"jump": "x"}]})",
                            R"({"steps": [{"key": "Y"}]})", R"({"steps": [{"until": {"moon": 1}}]})",
                            R"({"steps": [{"drop": []}]})", R"({"steps": [{"drag": "picture", "from": [1]}]})"})
    CHECK_THROWS_AS(parse_script(wrong, "s"), InputError);
  const test::TemporaryFolder folder;
  const Session session(options_in(folder));
  ScriptPlayer player(parse_script(R"({"steps": [{"click": "nothing"}]})", "s"));
  CHECK_THROWS_AS(player.next(session, 0), InputError);
}
