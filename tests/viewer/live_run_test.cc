// Live worlds: back-pressure, branches, rewinding, bounded memory, closing while generating.
#include "viewer/state/live_run.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "core/base/error.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::viewer;

namespace {

worlds::WorldSpec bounce() {
  worlds::WorldSpec spec;
  spec.scene = "bounce";
  spec.width = spec.height = 32;
  return spec;
}

// Counts what it makes; throws at a chunk when told to.
class CountingFactory : public GeneratorFactory {
 public:
  explicit CountingFactory(int step, int fail_at = -1, int milliseconds = 0)
      : step_(step), fail_at_(fail_at), milliseconds_(milliseconds) {}
  ReelInfo info(const BranchSettings& settings) const override {
    ReelInfo info;
    info.kind = ReelKind::model, info.title = settings.prompt;
    return info;
  }
  int chunk_frames() const override { return step_; }
  std::unique_ptr<Generator> make(const BranchSettings& settings, const std::vector<ChunkPtr>& past) override {
    ++makes;
    return std::make_unique<Counting>(this, settings.seed, past.size());
  }
  worlds::Annotations world() const override { return {}; }
  std::atomic<int> makes{0}, made{0};

 private:
  struct Counting : Generator {
    CountingFactory* factory;
    std::uint64_t seed;
    std::size_t chunk;
    Counting(CountingFactory* f, std::uint64_t s, std::size_t c) : factory(f), seed(s), chunk(c) {}
    ChunkPtr next(const worlds::Action& action) override {
      ORRERY_CHECK(static_cast<int>(chunk) != factory->fail_at_, "the chunk breaks");
      std::this_thread::sleep_for(std::chrono::milliseconds(factory->milliseconds_));
      auto out = std::make_shared<Chunk>();
      out->action = action;
      // Pixels say which world made them.
      for (int i = 0; i < (chunk == 0 ? 1 : factory->step_); ++i)
        out->frames.push_back(std::make_shared<const Frame>(8, 8, static_cast<std::uint8_t>(seed + 10 * chunk)));
      ++chunk, ++factory->made;
      return out;
    }
  };
  int step_, fail_at_, milliseconds_;
};

int pixel(const Picture& picture) { return picture ? picture->at(0, 0)[0] : -1; }

}  // namespace

TEST_CASE("a run makes what is wanted and then waits", "[live]") {
  auto factory = std::make_shared<CountingFactory>(4);
  LiveRun run(factory, {"p", 1, {}});
  run.want(10);
  run.settle(10);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(run.info().frames == 13);  // whole chunks: 1 + 3 · 4
  CHECK(factory->made == 4);
  CHECK(factory->makes == 1);
  CHECK(pixel(run.picture(-1, 0)) == 1);
  CHECK(pixel(run.picture(-1, 4)) == 11);
  CHECK(pixel(run.picture(-1, 5)) == 21);
  CHECK(run.picture(-1, 13) == nullptr);
  CHECK(run.picture(-1, -1) == nullptr);
}

TEST_CASE("a branch shares the frames before it and goes on by itself", "[live]") {
  auto factory = std::make_shared<CountingFactory>(4);
  LiveRun run(factory, {"p", 1, {}});
  run.want(13);
  run.settle(13);
  const int id = run.branch(6, {"p", 3, {}}, {worlds::Push::left, 0.5, 0.5});  // frame 6 lies in chunk 2: frames 5 to 8
  CHECK(id == 1);
  CHECK(run.current() == 1);
  run.want(13);
  run.settle(13);
  CHECK(run.picture(1, 8) == run.picture(0, 8));
  CHECK(pixel(run.picture(0, 9)) == 31);
  CHECK(pixel(run.picture(1, 9)) == 33);
  const auto branches = run.branches();
  REQUIRE(branches.size() == 2);
  CHECK(branches[1].parent == 0);
  CHECK(branches[1].begin == 9);
  CHECK(branches[1].reason == "seed 3");
  REQUIRE(branches[1].actions.size() == 1);
  CHECK(branches[1].actions[0].frame == 9);
  // Back to the first one, which goes on where it was.
  run.select(0);
  run.want(17);
  run.settle(17);
  CHECK(pixel(run.picture(0, 16)) == 41);
  CHECK(run.branches()[1].frames == 13);
  for (std::size_t i = 2; i < LiveRun::kMostBranches; ++i) run.branch(2, {"p", i, {}}, {});
  CHECK_THROWS_AS(run.branch(2, {"p", 99, {}}, {}), InputError);
}

TEST_CASE("a push acts at the next chunk that is not made yet", "[live]") {
  auto factory = std::make_shared<CountingFactory>(4);
  LiveRun run(factory, {"p", 1, {}});
  run.want(5);
  run.settle(5);
  run.push({worlds::Push::up, 0.25, 0.75});
  run.want(13);
  run.settle(13);
  CHECK(run.chunk(-1, 4)->action.push == worlds::Push::none);
  CHECK(run.chunk(-1, 5)->action.push == worlds::Push::up);
  CHECK(run.chunk(-1, 9)->action.push == worlds::Push::none);
  REQUIRE(run.branches()[0].actions.size() == 1);
  CHECK(run.branches()[0].actions[0].frame == 5);
}

TEST_CASE("memory stays within the budget, the oldest frames go first", "[live]") {
  const std::size_t frame = 8 * 8 * 3;
  LiveRun run(std::make_shared<CountingFactory>(1), {"p", 0, {}}, 50 * frame);
  run.want(200);
  run.settle(200);
  const ReelInfo info = run.info();
  CHECK(info.first == 150);
  CHECK(run.picture(-1, 149) == nullptr);
  CHECK(run.picture(-1, 150) != nullptr);
  CHECK(run.picture(-1, 199) != nullptr);
}

TEST_CASE("what goes wrong is told, and the frames so far stay", "[live]") {
  LiveRun run(std::make_shared<CountingFactory>(4, 2), {"p", 1, {}});
  run.want(100);
  run.settle(100);
  CHECK(run.info().error == "the chunk breaks");
  CHECK_FALSE(run.info().growing);
  CHECK(run.info().frames == 5);
  CHECK(run.picture(-1, 4) != nullptr);
}

TEST_CASE("closing while generating waits for one chunk, not for all", "[live]") {
  auto factory = std::make_shared<CountingFactory>(4, -1, 5);
  {
    LiveRun run(factory, {"p", 1, {}});
    run.want(1000000);
    run.settle(2);
  }
  CHECK(factory->made < 1000);
}

TEST_CASE("the engine goes on after a branch as if the pushes had been made at once", "[live]") {
  const auto factory = engine_factory(bounce(), "");
  LiveRun run(factory, {});
  run.want(30);
  run.settle(30);
  run.branch(14, {}, {worlds::Push::right, 0.5, 0.5});
  run.want(30);
  run.settle(30);
  // The same from a world that knows the push beforehand.
  worlds::WorldSpec spec = bounce();
  spec.actions = {{15, {worlds::Push::right, 0.5, 0.5}}};
  worlds::World world(spec);
  for (int i = 1; i < 30; ++i) world.step();
  CHECK(*run.picture(1, 29) == world.draw());
  CHECK_FALSE(*run.picture(0, 29) == *run.picture(1, 29));
  CHECK(run.state(1, 29).bodies.size() == world.truth().bodies.size());
}

TEST_CASE("the model goes on after a branch as it would have gone on, or otherwise under another seed", "[live]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  ModelRunOptions options;
  options.given_frames = 5;
  auto store = std::make_shared<ModelStore>(folder.path().string());
  const BranchSettings settings{"a ball bounces", 5, {0.9, 0, 1.0, 0.0}};
  LiveRun run(model_factory(store, settings.prompt, options), settings);
  run.want(41);
  run.settle(41);
  REQUIRE(run.info().error == "");
  CHECK(run.truth(-1, 40) != nullptr);
  CHECK(run.info().width == 32);
  run.branch(14, settings, {});  // nothing changed
  run.want(41);
  run.settle(41);
  for (const int frame : {17, 29, 40}) {
    CHECK(run.chunk(0, frame)->codes == run.chunk(1, frame)->codes);
    CHECK(*run.picture(0, frame) == *run.picture(1, frame));
    CHECK(*run.truth(0, frame) == *run.truth(1, frame));
  }
  BranchSettings other = settings;
  other.seed = 6;
  run.branch(14, other, {});
  run.want(41);
  run.settle(41);
  CHECK(run.chunk(2, 14)->codes == run.chunk(0, 14)->codes);
  CHECK(run.chunk(2, 20)->codes != run.chunk(0, 20)->codes);
}

TEST_CASE("a branch within the frames that the engine gives goes on with them", "[live]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const auto store = std::make_shared<ModelStore>(folder.path().string());
  const BranchSettings settings{"a red ball bounces", 5, {}};
  ModelRunOptions options;
  options.given_frames = 13;  // four latent frames
  LiveRun run(model_factory(store, settings.prompt, options), settings);
  run.want(17);
  run.settle(17);
  for (const std::int64_t frame : {0, 3, 8}) {
    run.select(0);
    const int branch = run.branch(frame, settings, {});
    run.settle(17);
    REQUIRE(run.info().error == "");
    for (const std::int64_t at : {4, 8, 12}) {
      CHECK(run.chunk(branch, at)->codes == run.chunk(0, at)->codes);
      CHECK(*run.picture(branch, at) == *run.picture(0, at));
    }
  }
}

TEST_CASE("a model that is not there is told in one line", "[live]") {
  const test::TemporaryFolder folder;
  LiveRun run(model_factory(std::make_shared<ModelStore>((folder / "none").string()), "a red ball"),
              {"a red ball", 1, {}});
  run.settle(1);
  CHECK(run.info().error.find("none") != std::string::npos);
  CHECK(run.info().error.find('\n') == std::string::npos);
}
