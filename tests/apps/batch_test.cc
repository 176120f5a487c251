// Batch rendering with a tiny random model: the same clips as generate's, whatever shares a pass, whoever dies.
#include "apps/pipeline/batch/batch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "apps/pipeline/batch/manifest.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/base/sha256.h"
#include "core/io/files.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/writer.h"

extern char** environ;

using namespace orrery;
using namespace orrery::batch;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TemporaryFolder model, out;
  Fixture() {
    Progress::set_enabled(false);
    test::write_tiny_model(model.path().string());
  }

  std::string jobs(const std::string& text, const std::string& name = "jobs.jsonl") const {
    write_file(out / name, text);
    return (out / name).string();
  }
  // Different lengths, seeds, guidance and actions.
  std::string mixed(int count) const {
    std::string text;
    for (int i = 0; i < count; ++i) {
      Json job = Json::object({{"id", "c" + std::to_string(i)},
                               {"prompt", i % 2 == 0 ? "a red ball bounces" : "the floor"},
                               {"seed", i},
                               {"seconds", 0.2 + 0.15 * (i % 5)}});
      if (i % 3 == 1) job.set("cfg_scale", 1.5);
      if (i % 4 == 2) job.set("actions", "3:push-up@0.5,0.5");
      text += job.dump() + "\n";
    }
    return jobs(text);
  }
  BatchOptions options(const std::string& job_file, const std::string& folder = "clips") const {
    BatchOptions options;
    options.jobs = job_file, options.folder = (out / folder).string();
    options.defaults.model = model.path().string();
    options.defaults.seconds = 0.3;
    options.native = true;
    return options;
  }
};

// Names and bytes of the clips and their records.
std::map<std::string, std::string> files(const std::string& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "manifest.jsonl")
      found[entry.path().filename().string()] = sha256_file_hex(entry.path().string());
  return found;
}

std::vector<Json> lines_of(const fs::path& path) {
  std::vector<Json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line, path.string()));
  return lines;
}

std::vector<Json> manifest(const BatchOptions& options) { return lines_of(options.folder + "/manifest.jsonl"); }

}  // namespace

TEST_CASE("a batch's clips are those that generate makes one by one", "[batch]") {
  const Fixture f;
  const BatchOptions options = f.options(f.mixed(11));
  const BatchReport report = run_batch(options);
  CHECK(report.made == 11);
  CHECK(report.failed == 0);
  CHECK(report.left == 0);
  const pipeline::LoadedModel model(f.model.path().string());
  const std::vector<Json> lines = manifest(options);
  REQUIRE(lines.size() == 11);
  const JobFile jobs(options.jobs, options.defaults);
  for (std::int64_t i = 0; i < jobs.size(); ++i) {
    const Job job = jobs.read(i);
    pipeline::ClipSpec spec;
    spec.prompt = job.prompt, spec.seed = job.seed, spec.seconds = job.seconds, spec.cfg_scale = job.cfg_scale;
    spec.actions = worlds::parse_actions(job.actions);
    pipeline::ClipOutput alone;
    alone.path = (f.out / "alone.mp4").string(), alone.width = alone.height = 0;
    const pipeline::ClipReport clip = pipeline::generate_clip(model, spec, alone);
    const std::string path = options.folder + "/" + job.id + ".mp4";
    INFO(job.id);
    CHECK(read_file(path) == read_file(alone.path));
    CHECK(read_file(sidecar_path(path)) == read_file(f.out / "alone.json"));
    const Json& line = lines[static_cast<std::size_t>(i)];
    CHECK(line.find("id")->as_string() == job.id);
    CHECK(line.find("status")->as_string() == "done");
    CHECK(line.find("sha256")->as_string() == sha256_file_hex(path));
    CHECK(line.find("frames")->as_integer() == clip.frames);
    CHECK(line.find("frames_sha256")->as_string() == clip.frames_sha256);
  }
  // Again: nothing to do. One file lost: that one.
  CHECK(run_batch(options).found == 11);
  fs::remove(options.folder + "/c3.mp4");
  const BatchReport third = run_batch(options);
  CHECK(third.made == 1);
  CHECK(third.found == 10);
  CHECK(manifest(options).size() == 11);
}

TEST_CASE("clips do not depend on how many are drawn at once, nor on shards", "[batch]") {
  const Fixture f;
  const std::string jobs = f.mixed(9);
  BatchOptions one = f.options(jobs, "one"), many = f.options(jobs, "many"), parts = f.options(jobs, "parts");
  one.clips_at_once = 1;
  many.clips_at_once = 64;
  run_batch(one);
  run_batch(many);
  std::int64_t made = 0;
  parts.shards = 3;
  for (parts.shard = 2; parts.shard >= 0; --parts.shard) made += run_batch(parts).made;
  CHECK(made == 9);
  CHECK(files(one.folder) == files(many.folder));
  CHECK(files(one.folder) == files(parts.folder));
  CHECK(manifest(parts).size() == 9);
}

TEST_CASE("what is wrong is said before anything is written", "[batch]") {
  const Fixture f;
  std::vector<std::string> said;
  const auto refused = [&](BatchOptions options) {
    said.clear();
    options.say = [&](const std::string& line) { said.push_back(line); };
    CHECK_THROWS_AS(run_batch(options), InputError);
    CHECK(!fs::exists(f.out / "clips"));
  };
  const std::string good = f.jobs("{\"prompt\": \"a ball\"}\n", "good.jsonl");
  refused(f.options(f.jobs("{\"prompt\": \"a ball\"}\nnonsense\n")));
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("jobs.jsonl:2: ") != std::string::npos);
  // Against the model: too many words, a push after the end, more frames a second than it has.
  refused(f.options(f.jobs("{\"prompt\": \"a ball\"}\n{\"prompt\": \"" + std::string(500, 'x') + "\"}\n")));
  CHECK(said[0].find("jobs.jsonl:2: ") != std::string::npos);
  refused(f.options(f.jobs("{\"prompt\": \"a ball\", \"actions\": \"99:push-up@0.5,0.5\"}\n")));
  refused(f.options(f.jobs("{\"prompt\": \"a ball\", \"fps\": 60}\n")));
  refused(f.options(f.jobs("{\"prompt\": \"a ball\", \"model\": \"/none\"}\n")));
  BatchOptions options = f.options(good);
  options.format = "avi";
  refused(options);
  options = f.options(good);
  options.shard = 3, options.shards = 3;
  refused(options);
  options = f.options(good);
  options.folder = good;
  refused(options);

  // A link where our own files would go leads nowhere.
  const test::TemporaryFolder elsewhere;
  fs::create_directory(f.out / "linked");
  fs::create_directory_symlink(elsewhere.path(), f.out / "linked" / ".batch");
  CHECK_THROWS_AS(run_batch(f.options(good, "linked")), InputError);
  CHECK(elsewhere.count() == 0);

  options = f.options(f.jobs("{\"prompt\": \"a ball\"}\nnonsense\n"));
  options.skip_bad = true;
  const BatchReport report = run_batch(options);
  CHECK(report.made == 1);
  CHECK(report.bad_lines == 1);
}

TEST_CASE("a job that fails is recorded, the rest goes on, and it can be tried again", "[batch]") {
  const Fixture f;
  write_file(f.out / "broken.png", "no picture");
  BatchOptions options = f.options(f.jobs(
      "{\"prompt\": \"a ball\", \"id\": \"a\"}\n{\"prompt\": \"a ball\", \"id\": \"b\", \"init_img\": \"broken.png\"}\n"
      "{\"prompt\": \"a ball\", \"id\": \"c\"}\n"));
  fs::create_directory(options.folder);
  write_file(options.folder + "/c.mp4", "somebody's");  // not ours: stays
  const BatchReport report = run_batch(options);
  CHECK(report.made == 1);
  CHECK(report.failed == 2);
  CHECK(read_file(options.folder + "/c.mp4") == "somebody's");
  const std::vector<Json> lines = manifest(options);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].find("status")->as_string() == "failed");
  CHECK(lines[1].find("reason")->as_string().find("broken.png") != std::string::npos);
  CHECK(lines[2].find("reason")->as_string().find("--force") != std::string::npos);
  CHECK(run_batch(options).failed == 2);  // not by itself
  write_image((f.out / "broken.png").string(), Frame(32, 32, 90));
  options.retry_failed = options.force = true;
  const BatchReport again = run_batch(options);
  CHECK(again.made == 2);
  CHECK(again.failed == 0);
  CHECK(again.found == 1);
}

TEST_CASE("a folder keeps to what its clips were made from", "[batch]") {
  const Fixture f;
  BatchOptions options = f.options(f.jobs("{\"prompt\": \"a ball\", \"id\": \"a\"}\n"));
  run_batch(options);
  options.jobs = f.jobs("{\"prompt\": \"a ball\", \"id\": \"a\", \"seed\": 5}\n");
  CHECK_THROWS_AS(run_batch(options), InputError);
  options.jobs = f.jobs("{\"prompt\": \"a ball\", \"id\": \"b\", \"seed\": 5}\n");
  CHECK(run_batch(options).made == 1);
  CHECK(manifest(options).size() == 2);  // the earlier job's line stays
}

TEST_CASE("stopped, a batch keeps what was drawn and goes on from there", "[batch]") {
  const Fixture f;
  const std::string jobs = f.jobs("{\"prompt\": \"a ball\", \"id\": \"a\", \"seconds\": 60}\n");
  BatchOptions whole = f.options(jobs, "whole"), parts = f.options(jobs, "parts");
  run_batch(whole);
  std::atomic<bool> stop{false};
  parts.stop = &stop;
  int runs = 0;
  for (BatchReport report; report.made == 0 && runs < 200; ++runs) {
    stop = false;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(150 + 100 * runs));
      stop = true;
    });
    report = run_batch(parts);
    stopper.join();
    if (report.made == 0) CHECK(report.left == 1);
  }
  CHECK(runs < 200);
  CHECK(files(whole.folder) == files(parts.folder));
  CHECK(fs::is_empty(parts.folder + "/.batch/drawn"));
  CHECK(fs::is_empty(parts.folder + "/.batch/claims"));
}

namespace {

pid_t start(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

// Each job done once in all journals together; each file whole and as the manifest says.
void check_complete(const std::string& folder, std::size_t count, const std::map<std::string, std::string>& expected) {
  std::map<std::string, int> done;
  for (const auto& entry : fs::directory_iterator(folder + "/.batch/journal")) {
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    for (std::string line; std::getline(text, line) && !text.eof();)
      ++done[Json::parse(line, "journal").find("id")->as_string()];
  }
  CHECK(done.size() == count);
  for (const auto& [id, times] : done) CHECK(times == 1);
  CHECK(files(folder) == expected);
  const std::vector<Json> lines = lines_of(folder + "/manifest.jsonl");
  CHECK(lines.size() == count);
  std::set<std::string> ids;
  for (const Json& line : lines) {
    ids.insert(line.find("id")->as_string());
    CHECK(expected.at(line.find("file")->as_string()) == line.find("sha256")->as_string());
  }
  CHECK(ids.size() == count);
}

}  // namespace

TEST_CASE("killed at any moment, alone or beside another, a batch ends complete and without doubles", "[batch][slow]") {
  const Fixture f;
  const std::string jobs = f.mixed(40);
  const BatchOptions undisturbed = f.options(jobs, "undisturbed");
  run_batch(undisturbed);
  const auto expected = files(undisturbed.folder);
  const BatchOptions killed = f.options(jobs, "killed");
  const std::vector<std::string> command{ORRERY_PROGRAM,          "batch",    jobs,        "-o",  killed.folder, "-m",
                                         f.model.path().string(), "--native", "--seconds", "0.3", "-j",          "3"};
  Random random(11);
  int kills = 0;
  for (int round = 0; round < 12; ++round) {
    const int together = 1 + round % 2;
    std::vector<pid_t> children;
    for (int i = 0; i < together; ++i) children.push_back(start(command));
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random.below(250)));
    for (const pid_t child : children) {
      int status = 0;
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      kills += WIFSIGNALED(status) ? 1 : 0;
    }
    // What is visible is whole, at every moment.
    if (fs::exists(killed.folder))
      for (const auto& [name, hash] : files(killed.folder)) CHECK(expected.at(name) == hash);
  }
  CHECK(kills > 2);
  const pid_t first = start(command), second = start(command);
  for (const pid_t child : {first, second}) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  check_complete(killed.folder, 40, expected);
}

TEST_CASE("a manifest is verified, merged and shown", "[batch][manifest]") {
  const Fixture f;
  const std::string jobs = f.mixed(5);
  BatchOptions a = f.options(jobs, "a"), b = f.options(jobs, "b");
  a.shards = b.shards = 2;
  b.shard = 1;
  b.score = true;
  run_batch(a);
  run_batch(b);
  CHECK(verify_manifest(a.folder).good == 3);
  CHECK(manifest(b)[0].find("score") != nullptr);

  const std::string all = (f.out / "all").string();
  const MergeReport merged = merge_manifests({a.folder, b.folder}, all);
  CHECK(merged.done == 5);
  CHECK(merged.twins == 0);
  CHECK(verify_manifest(all).good == 5);
  CHECK(merge_manifests({a.folder, all}, all).twins == 3);
  const ReportFiles report = write_report(all);
  CHECK(read_file(report.page).find("../b/c1.mp4") != std::string::npos);
  CHECK(fs::file_size(report.sheet) > 0);

  write_file(a.folder + "/c0.mp4", "cut");
  fs::remove(a.folder + "/c2.mp4");
  const ManifestCheck check = verify_manifest(a.folder);
  CHECK(check.good == 1);
  REQUIRE(check.bad.size() == 2);
  CHECK(check.bad[0].second.find("3 bytes") != std::string::npos);
  CHECK(check.bad[1].second == "is missing");
  write_file(b.folder + "/manifest.jsonl",
             "{\"id\": \"c0\", \"status\": \"done\", \"file\": \"x\", \"sha256\": \"0\"}\n");
  CHECK_THROWS_AS(merge_manifests({a.folder, b.folder}, all), InputError);
  write_file(b.folder + "/manifest.jsonl", "{}\n");
  CHECK_THROWS_AS(verify_manifest(b.folder), InputError);
  CHECK_THROWS_AS(verify_manifest((f.out / "none").string()), InputError);
}

TEST_CASE("a plan counts what is left and writes nothing", "[batch][plan]") {
  const Fixture f;
  BatchOptions options = f.options(f.mixed(6));
  const BatchPlan before = plan_batch(options);
  CHECK(before.jobs == 6);
  CHECK(before.to_make == 6);
  CHECK(before.seconds > 0);
  CHECK(before.disk_mb > 0);
  CHECK(before.memory_mb > 0);
  CHECK(!fs::exists(options.folder));
  options.shards = 2;
  run_batch(options);
  options.shards = 1;
  const BatchPlan after = plan_batch(options);
  CHECK(after.found == 3);
  CHECK(after.to_make == 3);
  options.jobs = f.jobs("nonsense\n");
  CHECK_THROWS_AS(plan_batch(options), InputError);
}

TEST_CASE("a queue that hands out nonsense costs nothing", "[batch]") {
  // Jobs twice, in a strange order, and some not at all: claims and journals decide.
  struct Odd final : JobQueue {
    std::vector<std::int64_t> jobs;
    std::mutex mutex;
    void begin(int, std::vector<std::int64_t> all) override { jobs = {all[3], all[3], all[1], all[0], all[1]}; }
    std::optional<std::int64_t> next(const std::function<bool()>&) override {
      const std::lock_guard lock(mutex);
      if (jobs.empty()) return std::nullopt;
      const std::int64_t job = jobs.back();
      jobs.pop_back();
      return job;
    }
  } queue;
  const Fixture f;
  BatchOptions options = f.options(f.mixed(6));
  options.queue = &queue;
  CHECK(run_batch(options).made == 6);
  CHECK(manifest(options).size() == 6);
}
