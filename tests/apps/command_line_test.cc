// The program at its border: what it says about bad files, with which exit code, and what it leaves behind.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "core/io/files.h"
#include "core/io/json.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/writer.h"

using namespace orrery;
namespace fs = std::filesystem;

namespace {

struct Ended {
  int code = -1;
  std::string out;
  std::vector<std::string> errors;  // lines
};

std::string quoted(const std::string& text) { return "'" + text + "'"; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// `before`: what the shell does first, such as setting a limit.
Ended run(const std::string& arguments, const std::string& before = "") {
  const test::TemporaryFolder folder;
  const std::string out = (folder / "out").string(), errors = (folder / "errors").string();
  const std::string command =
      before + quoted(ORRERY_PROGRAM) + " " + arguments + " >" + quoted(out) + " 2>" + quoted(errors);
  const int status = std::system(("bash -c " + std::string("\"") + command + "\"").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), lines_of(read_file(errors))};
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) names.insert(entry.path().string());
  return names;
}

Clip small_clip(int frames) {
  Clip clip;
  for (int i = 0; i < frames; ++i) clip.frames.emplace_back(32, 24, static_cast<std::uint8_t>(20 * i));
  return clip;
}

std::string wave_file() {
  std::string bytes("RIFF\x24\x20\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data\0\x20\0\0",
                    44);
  return bytes + std::string(8192, '\x11');
}

// As the kernel sees a stranger: root may read everything, which would hide what is tried here.
std::string as_stranger() { return geteuid() == 0 ? "setpriv --reuid=65534 --clear-groups " : ""; }

}  // namespace

TEST_CASE("a file that is no whole video ends each command with one line and exit code 2", "[program]") {
  const test::TemporaryFolder folder;
  const auto file = [&](const std::string& name, const std::string& bytes) {
    write_file(folder / name, bytes);
    return (folder / name).string();
  };
  write_video((folder / "whole.mp4").string(), small_clip(12));
  const std::string whole = read_file(folder / "whole.mp4");
  const std::vector<std::string> bad{
      file("empty.mp4", ""),
      file("text.mp4", "This is no video.\n"),
      file("sound.wav", wave_file()),
      file("sound.mp4", wave_file()),
      file("no-frame.y4m", "YUV4MPEG2 W32 H24 F24:1 Ip A1:1 C420\n"),
      file("cut.mp4", whole.substr(0, whole.size() / 2)),
      file("cut.png", std::string("\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16)),
      (folder / "missing.mp4").string(),
  };
  const auto before = names_in(folder.path());
  for (const std::string& path : bad) {
    const std::string output = quoted((folder / "out").string());
    for (const std::string& command :
         {"info " + quoted(path), "score physics " + quoted(path),
          "encode " + quoted(path) + " -o " + output + ".codes",
          "generate 'a ball' --seconds 0.5 --init-video " + quoted(path) + " -o " + output + ".mp4"}) {
      INFO(command);
      const Ended ended = run(command + " -q");
      CHECK(ended.code == 2);
      REQUIRE(ended.errors.size() == 1);
      CHECK(ended.errors[0].find("orrery: ") == 0);
      CHECK(ended.errors[0].find(path) != std::string::npos);
      CHECK(ended.out.empty());
    }
  }
  CHECK(run("info " + quoted(folder.path().string())).code == 2);
  CHECK(names_in(folder.path()) == before);
}

TEST_CASE("a file that one may not read is said so", "[program]") {
  if (geteuid() == 0 && std::system("setpriv --reuid=65534 --clear-groups true 2>/dev/null") != 0)
    SKIP("root reads everything, and setpriv is not allowed here");
  const test::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const std::string path = (folder / "secret.mp4").string();
  write_video(path, small_clip(4));
  fs::permissions(path, fs::perms::none);
  // A stranger may not come as far as our build folder, but may run a copy.
  const std::string program = (folder / "orrery").string();
  fs::copy_file(ORRERY_PROGRAM, program);
  fs::permissions(program, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const std::string errors = (folder / "errors").string();
  const int status =
      std::system((as_stranger() + quoted(program) + " info " + quoted(path) + " 2>" + quoted(errors)).c_str());
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 2);
  const std::vector<std::string> lines = lines_of(read_file(errors));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find(path + ": cannot be opened: Permission denied") != std::string::npos);
}

TEST_CASE("odd but whole files are read: one pixel, another extension", "[program]") {
  const test::TemporaryFolder folder;
  Clip dot;
  dot.frames.assign(3, Frame(1, 1, 200));
  write_video((folder / "dot.mp4").string(), dot);
  fs::copy_file(folder / "dot.mp4", folder / "dot.txt");
  for (const char* name : {"dot.mp4", "dot.txt"}) {
    INFO(name);
    const Ended ended = run("info --json " + quoted((folder / name).string()));
    CHECK(ended.code == 0);
    CHECK(ended.errors.empty());
    const Json info = Json::parse(ended.out, "info");
    CHECK(info.find("width")->as_integer() == 1);
    CHECK(info.find("frames")->as_integer() == 3);
  }
}

TEST_CASE("a full disk ends with one line, exit code 1 and no part of a file", "[program]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.gif", "a_%03d.png"}) {
    const test::TemporaryFolder folder;
    const std::string path = (folder / name).string();
    // A file that may not grow over a kilobyte fails at the write that a full disk fails at.
    const Ended ended =
        run("simulate bounce --seconds 1 -W 128 -H 128 -q -o " + quoted(path), "trap '' XFSZ; ulimit -f 1; ");
    INFO(name);
    CHECK(ended.code == 1);
    REQUIRE(ended.errors.size() == 1);
    CHECK(ended.errors[0].find("cannot write") != std::string::npos);
    CHECK(folder.count() == 0);
  }
}

TEST_CASE("a model's folder says what it is", "[program]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const Ended lines = run("info " + quoted(folder.path().string()));
  REQUIRE(lines.code == 0);
  CHECK_THAT(lines.out, ContainsSubstring("32x32, 24 fps; context 140 tokens"));
  const Ended ended = run("--json info " + quoted(folder.path().string()));
  REQUIRE(ended.code == 0);
  const Json report = Json::parse(ended.out, "report");
  CHECK(report.find("experts")->as_integer() == 4);
  CHECK(report.find("codec")->find("time_factor")->as_integer() == 4);
  CHECK(report.find("card")->is_null());
  const test::TemporaryFolder empty;
  const Ended none = run("info " + quoted(empty.path().string()));
  CHECK(none.code == 2);
  REQUIRE(none.errors.size() == 1);
  CHECK_THAT(none.errors[0], ContainsSubstring("config.json is missing"));
}

TEST_CASE("PhyWorld's protocol gives a model three frames, or the whole latent frames that hold them", "[program]") {
  for (const auto& [time_factor, given] : {std::pair{1, 3}, std::pair{4, 5}}) {
    CAPTURE(time_factor);
    const test::TemporaryFolder folder;
    test::write_tiny_model(folder.path().string(), 1, 16, false, time_factor);
    const Ended ended = run("--json -m " + quoted(folder.path().string()) + " score phyworld -n 1");
    CAPTURE(ended.errors);
    REQUIRE(ended.code == 0);
    const Json report = Json::parse(ended.out, "report");
    CHECK(report.find("given_frames")->as_integer() == given);
    REQUIRE(report.find("rows")->as_array().size() == 6);
    CHECK(report.find("rows")->as_array()[0].find("codec_alone") != nullptr);
  }
}

TEST_CASE("a batch says what is wrong with its jobs or its folder, and touches nothing", "[program]") {
  const test::TemporaryFolder folder;
  const auto jobs = [&](const std::string& text) {
    write_file(folder / "jobs.jsonl", text);
    return quoted((folder / "jobs.jsonl").string());
  };
  const std::string good = "{\"prompt\": \"a ball\", \"seconds\": 0.04}\n", out = quoted((folder / "out").string());
  struct Case {
    std::string text, words;
  };
  for (const Case& one : {Case{"{\"prompt\": \"a ball\"\n", "jobs.jsonl:1: not a JSON object"},
                          {good + "{\"prompt\": \"a ball\", \"id\": \"../../x\"}\n", "jobs.jsonl:2: the id is"},
                          {"{\"prompt\": \"a\", \"id\": \"x\"}\n{\"prompt\": \"b\", \"id\": \"x\"}\n",
                           "jobs.jsonl:2: the id x is that of"},
                          {good + "{\"prompt\": \"a ball\", \"init_img\": \"none.png\"}\n", "none.png is not there"},
                          {"\n\n", "holds no jobs"}}) {
    const Ended ended = run("batch " + jobs(one.text) + " -o " + out);
    INFO(one.text);
    CHECK(ended.code == 2);
    REQUIRE_FALSE(ended.errors.empty());
    CHECK(ended.errors[0].find(one.words) != std::string::npos);
    CHECK(folder.count() == 1);
  }
  // The folder is a file.
  write_file(folder / "out", "somebody's");
  Ended ended = run("batch " + jobs(good) + " -o " + out);
  CHECK(ended.code == 2);
  REQUIRE(ended.errors.size() == 1);
  CHECK(ended.errors[0].find("it is a file, expected a folder") != std::string::npos);
  CHECK(read_file(folder / "out") == "somebody's");
  CHECK(folder.count() == 2);
}

TEST_CASE("a folder that one may not write to, and a disk without room, stop a batch", "[program]") {
  const test::TemporaryFolder folder;
  write_file(folder / "jobs.jsonl", "{\"prompt\": \"a ball\", \"seconds\": 0.04}\n");
  const std::string jobs = quoted((folder / "jobs.jsonl").string());
  // Even root cannot write to a kernel's file system.
  const Ended closed = run("batch " + jobs + " -o /proc/orrery-clips");
  CHECK(closed.code == 2);
  REQUIRE(closed.errors.size() == 1);
  CHECK(closed.errors[0].find("/proc/orrery-clips") != std::string::npos);
  // Files that may not grow stand for the full disk of one's own: not DiskFullError's wait, but a failure of ours.
  const Ended full =
      run("batch " + jobs + " -q -o " + quoted((folder / "clips").string()), "trap '' XFSZ; ulimit -f 1; ");
  CHECK(full.code == 1);
  std::set<std::string> clips;
  for (const auto& entry : fs::directory_iterator(folder / "clips"))
    if (entry.path().extension() == ".mp4") clips.insert(entry.path().string());
  CHECK(clips.empty());
}
