// Job files: what is read, what is refused, and in which words; claims of living and dead processes; journals.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "apps/pipeline/batch/claims.h"
#include "apps/pipeline/batch/job_file.h"
#include "apps/pipeline/batch/journal.h"
#include "core/base/error.h"
#include "core/io/files.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::batch;
namespace fs = std::filesystem;

namespace {

struct Files {
  test::TemporaryFolder folder;
  std::string write(const std::string& name, const std::string& text) const {
    write_file(folder / name, text);
    return (folder / name).string();
  }
  // The reason that the only line of a JSON Lines file is refused for.
  std::string reason(const std::string& line) const {
    const JobFile jobs(write("one.jsonl", line), JobDefaults{});
    return jobs.bad().size() == 1 ? jobs.bad()[0].reason : "accepted";
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a job file gives its jobs in order, with defaults where a line is silent", "[batch][jobs]") {
  const Files f;
  f.write("ball.png", "x");
  JobDefaults defaults;
  defaults.seed = 7, defaults.seconds = 2;
  const JobFile jobs(f.write("jobs.jsonl",
                             "\xEF\xBB\xBF{\"prompt\": \"a red ball\", \"id\": \"a.1\", \"init_img\": \"ball.png\"}\r\n"
                             "\n"
                             "{\"prompt\": \"a blue ball\", \"seed\": 9, \"seconds\": 1.5, \"fps\": 12, \"top_k\": 5, "
                             "\"cfg_scale\": 2, \"actions\": \"24:push-right@0.5,0.7\"}"),
                     defaults);
  REQUIRE(jobs.bad().empty());
  REQUIRE(jobs.size() == 2);
  const Job first = jobs.read(0), second = jobs.read(1);
  CHECK(first.id == "a.1");
  CHECK(first.line == 1);
  CHECK(first.seed == 7);
  CHECK(first.seconds == 2);
  CHECK(first.init_image == (f.folder / "ball.png").string());
  CHECK(second.line == 3);
  CHECK(second.id.size() == 16);
  CHECK(second.seed == 9);
  CHECK(second.fps == 12);
  CHECK(second.sampling.top_k == 5);
  CHECK(second.cfg_scale == 2);
  // The same words again: the same id; another seed: another one.
  const JobFile again(f.write("again.jsonl", "{\"prompt\":\"a red ball\"}\n{\"prompt\":\"a red ball\",\"seed\":8}\n"),
                      defaults);
  CHECK(again.read(0).id != again.read(1).id);
  CHECK(JobFile(f.write("third.txt", "a red ball\n"), defaults).read(0).id == again.read(0).id);
}

TEST_CASE("CSV and plain prompts are jobs too", "[batch][jobs]") {
  const Files f;
  const JobFile csv(f.write("jobs.csv",
                            "id,prompt,seed,seconds\r\n"
                            "a,\"a red ball, \"\"bouncing\"\"\",3,\r\n"
                            "b,a blue ball,,1.5\r\n"
                            "c,a ball,x,1\r\n"
                            "d,a ball\r\n"
                            "e,\"a\" ball,1,1\r\n"),
                    JobDefaults{});
  REQUIRE(csv.size() == 2);
  CHECK(csv.read(0).prompt == "a red ball, \"bouncing\"");
  CHECK(csv.read(0).seed == 3);
  CHECK(csv.read(0).seconds == 10);
  CHECK(csv.read(1).seed == 42);
  REQUIRE(csv.bad().size() == 3);
  CHECK(csv.bad()[0].line == 4);
  CHECK(contains(csv.bad()[1].reason, "2 fields"));
  CHECK(contains(csv.bad()[2].reason, "quote"));
  CHECK_THROWS_AS(JobFile(f.write("none.csv", "id,words\na,b\n"), JobDefaults{}), InputError);
  const JobFile prompts(f.write("prompts", "a red ball\n\n  a blue ball  \n"), JobDefaults{});
  REQUIRE(prompts.size() == 2);
  CHECK(prompts.read(1).prompt == "a blue ball");
}

TEST_CASE("records are found wherever the pieces end in which a long file is read", "[batch][jobs]") {
  const Files f;
  // Some megabytes; lines of all lengths, so that pieces end at all places within them.
  std::string lines, table = "prompt,seed\r\n";
  for (int i = 0; i < 20000; ++i) {
    const std::string words = "a ball" + std::string(static_cast<std::size_t>(i % 211), 'l');
    lines += "{\"prompt\": \"" + words + "\", \"seed\": " + std::to_string(i) + "}" + (i % 7 == 0 ? "\r\n" : "\n");
    table += "\"" + words + "\"," + std::to_string(i) + "\n";
  }
  lines += "{\"prompt\": \"" + std::string(3 << 20, 'a') + "\"}\n{\"prompt\": \"the last\"}";
  table += "\"a ball\nin two \"\"lines\"\"\",1\nthe last,2";
  const JobFile jobs(f.write("long.jsonl", lines), JobDefaults{}), rows(f.write("long.csv", table), JobDefaults{});
  REQUIRE(jobs.size() == 20001);
  REQUIRE(jobs.bad().size() == 1);
  CHECK(jobs.bad()[0].line == 20001);
  CHECK(jobs.read(20000).prompt == "the last");
  CHECK(jobs.read(20000).line == 20002);
  REQUIRE(rows.bad().size() == 1);  // a prompt is one line
  CHECK(rows.bad()[0].line == 20002);
  REQUIRE(rows.size() == 20001);
  CHECK(rows.read(20000).line == 20004);
  bool same = true;
  for (std::int64_t i = 0; i < 20000; ++i)
    same = same && jobs.read(i).seed == static_cast<std::uint64_t>(i) && rows.read(i).prompt == jobs.read(i).prompt;
  CHECK(same);
}

TEST_CASE("wrong lines are named with their reason, and the good ones stay", "[batch][jobs]") {
  const Files f;
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"id\": \"../../x\"}"), "plain name"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"id\": \"\"}"), "plain name"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"id\": \".x\"}"), "plain name"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"id\": \"a/b\"}"), "plain name"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"id\": \"" + std::string(101, 'a') + "\"}"), "plain name"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\""), "JSON"));
  CHECK(contains(f.reason("[1]"), "object"));
  CHECK(contains(f.reason("{\"prompt\": 3}"), "prompt"));
  CHECK(contains(f.reason("{\"promt\": \"a ball\"}"), "prompt"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"sed\": 3}"), "did you mean"));
  CHECK(contains(f.reason("{\"prompt\": \" \"}"), "empty"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"seed\": -1}"), "seed"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"seconds\": 0}"), "seconds"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"top_p\": 0}"), "top-p"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"actions\": \"kick\"}"), "kick"));
  CHECK(contains(f.reason("{\"prompt\": \"a ball\", \"init_img\": \"none.png\"}"), "none.png is not there"));
  CHECK(contains(f.reason("{\"prompt\": \"" + std::string(2 << 20, 'a') + "\"}"), "megabyte"));

  const JobFile jobs(f.write("jobs.jsonl",
                             "{\"prompt\": \"a\", \"id\": \"x\"}\nnonsense\n{\"prompt\": \"b\", \"id\": \"y\"}\n"
                             "{\"prompt\": \"c\", \"id\": \"x\"}\n{\"prompt\": \"d\"}\n{\"prompt\": \"d\"}\n"),
                     JobDefaults{});
  CHECK(jobs.size() == 3);
  REQUIRE(jobs.bad().size() == 3);
  CHECK(jobs.bad()[0].line == 2);
  CHECK(jobs.bad()[1].line == 4);
  CHECK(contains(jobs.bad()[1].reason, "line 1"));
  CHECK(jobs.bad()[2].line == 6);
  CHECK_THROWS_AS(JobFile(f.write("empty.jsonl", "\n \n"), JobDefaults{}), InputError);
  CHECK_THROWS_AS(JobFile((f.folder / "none.jsonl").string(), JobDefaults{}), InputError);
  CHECK_THROWS_AS(JobFile(f.folder.path().string(), JobDefaults{}), InputError);
}

TEST_CASE("a job file that changes under our hands is noticed", "[batch][jobs]") {
  const Files f;
  const std::string path = f.write("jobs.jsonl", "{\"prompt\": \"a ball\", \"id\": \"x\"}\n");
  const JobFile jobs(path, JobDefaults{});
  CHECK(jobs.read(0).id == "x");
  std::ofstream(path) << "{\"prompt\": \"a ball\", \"id\": \"z\"}\n";
  CHECK_THROWS_AS(jobs.read(0), InputError);
  std::ofstream(path) << "";
  CHECK_THROWS_AS(jobs.read(0), InputError);
}

TEST_CASE("a claim is one's own while its owner lives, and is outbid once when it died", "[batch][claims]") {
  const test::TemporaryFolder folder;
  using Answer = Claims::Answer;
  {
    Claims a(folder.path()), b(folder.path());
    CHECK(a.worker() != b.worker());
    CHECK(a.claim("x") == Answer::mine);
    CHECK(b.claim("x") == Answer::taken);
    CHECK(b.claim("y") == Answer::mine);
    CHECK(a.still_mine("x"));
    CHECK(!b.still_mine("x"));
    a.release("x");
    CHECK(!a.still_mine("x"));
    CHECK(b.claim("x") == Answer::mine);
  }
  CHECK(folder.count() == 0);  // leases and claims are gone with their owners

  // A process that dies with claims.
  const pid_t child = fork();
  if (child == 0) {
    Claims* claims = new Claims(folder.path());
    const bool both = claims->claim("x") == Answer::mine && claims->claim("y") == Answer::mine;
    write_file(folder / "worker-name", claims->worker());
    _exit(both ? 0 : 1);  // no destructor
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  const std::string dead = read_file(folder / "worker-name");
  fs::remove(folder / "worker-name");
  Claims a(folder.path()), b(folder.path());
  CHECK(a.is_dead(dead));
  CHECK(!b.is_dead(a.worker()));
  CHECK(a.claim("x") == Answer::mine_after_dead);
  CHECK(b.claim("x") == Answer::taken);
  CHECK(b.claim("y") == Answer::mine_after_dead);
  CHECK(a.still_mine("x"));
  a.release("x");
  b.release("y");
  a.sweep();
  CHECK(folder.count() == 2);  // the two living leases
}

TEST_CASE("a lease of another machine dies of age, by our own clock", "[batch][claims]") {
  const test::TemporaryFolder folder;
  write_file(folder / "worker-far", R"({"worker": "far", "space": "elsewhere", "process": 1, "started": "1"})");
  fs::create_hard_link(folder / "worker-far", folder / "job-x.0");
  ClaimOptions options;
  options.stale_seconds = 0.2;
  Claims claims(folder.path(), options);
  CHECK(claims.claim("x") == Claims::Answer::taken);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  fs::last_write_time(folder / "worker-far", fs::file_time_type::clock::now() - std::chrono::hours(5));
  CHECK(claims.claim("x") == Claims::Answer::taken);  // touched, with whatever clock
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  CHECK(claims.claim("x") == Claims::Answer::mine_after_dead);
}

TEST_CASE("of many that claim a dead one's job at once, one gets it", "[batch][claims]") {
  const test::TemporaryFolder folder;
  write_file(folder / "worker-far", R"({"worker": "far", "space": "elsewhere", "process": 1, "started": "1"})");
  for (int job = 0; job < 20; ++job)
    fs::create_hard_link(folder / "worker-far", folder / ("job-" + std::to_string(job) + ".0"));
  ClaimOptions options;
  options.stale_seconds = -1;  // dead at once
  std::vector<std::unique_ptr<Claims>> claims;
  for (int i = 0; i < 6; ++i) claims.push_back(std::make_unique<Claims>(folder.path(), ClaimOptions{}));
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      Claims mine(folder.path(), options);
      for (int job = 0; job < 20; ++job) got += mine.claim(std::to_string(job)) == Claims::Answer::mine_after_dead;
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // all have asked before the first one leaves
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(got == 20);
}

TEST_CASE("journals of several processes are one; half a line is none", "[batch][journal]") {
  const test::TemporaryFolder folder;
  const auto line = [](const std::string& id, const char* status) {
    return Json::object({{"id", id}, {"job", "h-" + id}, {"status", status}});
  };
  Journal a(folder.path(), "a"), b(folder.path(), "b");
  a.append(line("x", "done"));
  b.append(line("y", "failed"));
  a.refresh();
  REQUIRE(a.find("y"));
  CHECK(!a.find("y")->done);
  CHECK(b.find("x")->job == "h-x");
  a.append(line("y", "done"));  // it was tried again
  b.refresh();
  CHECK(b.find("y")->done);
  CHECK(b.find("y")->times == 2);
  std::ofstream(folder / "c.jsonl") << "{\"id\": \"z\", \"job\": \"h\", \"sta";
  b.refresh();
  CHECK(!b.find("z"));
  std::ofstream(folder / "c.jsonl", std::ios::app) << "tus\": \"done\", \"time\": 1}\n";
  b.refresh();
  CHECK(b.find("z")->done);
  std::vector<std::string> ids;
  b.for_each([&](const std::string& id, const Json& json) {
    ids.push_back(id);
    CHECK(json.find("status")->as_string() == "done");
  });
  CHECK(ids == std::vector<std::string>{"x", "y", "z"});
}
