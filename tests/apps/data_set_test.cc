// Data sets: resumed, sharded and threaded runs end with the same bytes; bad input is named.
#include "apps/pipeline/data_set.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/io/files.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::pipeline;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path;
  explicit Folder(const std::string& name) : path(fs::temp_directory_path() / ("orrery_data_" + name)) {
    fs::remove_all(path);
    Progress::set_enabled(false);
  }
  ~Folder() { fs::remove_all(path); }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) all[fs::relative(entry.path(), path).generic_string()] = read_file(entry.path());
    }
    return all;
  }
};

MakeDataOptions options_for(const Folder& folder) {
  MakeDataOptions options;
  options.folder = folder.path.string();
  options.count = 6;
  options.sample.frames = 5;
  options.sample.action_share = 0.5;
  return options;
}

}  // namespace

TEST_CASE("a data set is the same in one go, resumed, sharded and with one thread", "[data]") {
  const Folder whole("whole"), resumed("resumed"), sharded("sharded");
  CHECK(make_data_set(options_for(whole)).made == 6);
  const auto expected = whole.files();
  CHECK(expected.size() == 2 + 2 * 6);
  REQUIRE(expected.count("clips.jsonl") == 1);

  make_data_set(options_for(resumed));
  // As if it had been killed: a clip without its ground truth, one with neither, and no list.
  fs::remove(resumed.path / "clips.jsonl");
  fs::remove(resumed.path / (clip_stem(2) + ".json"));
  fs::remove(resumed.path / (clip_stem(4) + ".json"));
  fs::remove(resumed.path / (clip_stem(4) + ".mp4"));
  std::ofstream(resumed.path / "clips/000/.000004.mp4.123.0.part") << "half a video";
  const DataReport again = make_data_set(options_for(resumed));
  CHECK(again.made == 2);
  CHECK(again.found == 4);
  CHECK(resumed.files() == expected);

  const int threads = thread_count();
  set_thread_count(1);
  MakeDataOptions options = options_for(sharded);
  options.shards = 2;
  options.shard = 1;
  CHECK(make_data_set(options).left == 3);
  CHECK(!fs::exists(sharded.path / "clips.jsonl"));
  options.shard = 0;
  CHECK(make_data_set(options).left == 0);
  set_thread_count(threads);
  CHECK(sharded.files() == expected);
}

TEST_CASE("a folder with another set is refused", "[data]") {
  const Folder folder("other");
  make_data_set(options_for(folder));
  MakeDataOptions options = options_for(folder);
  options.seed = 7;
  CHECK_THROWS_AS(make_data_set(options), InputError);
  options = options_for(folder);
  options.sample.scenes = {"roll"};
  CHECK_THROWS_AS(make_data_set(options), InputError);
}

TEST_CASE("one's own videos are imported with their captions, the others named", "[data]") {
  const Folder folder("import");
  MakeDataOptions options = options_for(folder);
  options.count = 2;
  make_data_set(options);
  fs::remove(folder.path / "clips.jsonl");
  CHECK_THROWS_AS(import_data_set(folder.path.string()), InputError);
  std::ofstream(folder.path / (clip_stem(0) + ".txt")) << "a ball\n falls\n";
  std::ofstream(folder.path / "captions.jsonl")
      << "{\"file\": \"clips/000/000001.mp4\", \"caption\": \"something else\"}\n";
  std::ofstream(folder.path / "broken.mp4") << "no video";
  std::ofstream(folder.path / "broken.txt") << "a caption";
  const DataReport report = import_data_set(folder.path.string());
  CHECK(report.made == 2);
  REQUIRE(report.refused.size() == 1);
  CHECK(report.refused[0].first == "broken.mp4");
  const std::string lines = read_file(folder.path / "clips.jsonl");
  CHECK(lines.find("\"caption\":\"a ball  falls\"") != std::string::npos);
  CHECK(lines.find("something else") != std::string::npos);
  CHECK_THROWS_AS(import_data_set((folder.path / "nowhere").string()), InputError);
}
