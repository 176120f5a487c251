// The contact sheet of a folder: what it lists, its pictures, and going from clip to clip.
#include "viewer/state/sheet.h"

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/writer.h"
#include "viewer/state/session.h"

using namespace orrery;
using namespace orrery::viewer;

namespace {

// Frame i is `grey` + i bright.
void write_grey(const std::string& path, int grey, int frames = 9, int width = 32, int height = 16) {
  Clip clip;
  for (int i = 0; i < frames; ++i) clip.frames.emplace_back(width, height, static_cast<std::uint8_t>(grey + i));
  write_video(path, clip);
}

}  // namespace

TEST_CASE("a folder's videos by name, each with its middle frame", "[sheet]") {
  const test::TemporaryFolder folder;
  for (const auto& [name, grey] : {std::pair{"b.mkv", 100}, {"a.mkv", 50}}) write_grey((folder / name).string(), grey);
  std::ofstream(folder / "c.mp4") << "no video";
  std::ofstream(folder / "notes.txt") << "no video either";
  Sheet sheet(folder.path().string());
  sheet.attend(0, 10);
  sheet.settle();
  CHECK(sheet.error() == "");
  const auto clips = sheet.clips();
  REQUIRE(clips != nullptr);
  REQUIRE(clips->size() == 3);
  CHECK((*clips)[0].name == "a");
  REQUIRE(sheet.picture(0) != nullptr);
  CHECK(sheet.picture(0)->width() == 32);
  CHECK(sheet.picture(0)->at(3, 3)[0] == 54);
  CHECK(sheet.picture(1)->at(3, 3)[0] == 104);
  CHECK(sheet.picture(2) == nullptr);
  CHECK(sheet.trouble(2).find("c.mp4") != std::string::npos);
}

TEST_CASE("a batch folder as its manifest tells it, failed jobs with their reason", "[sheet]") {
  const test::TemporaryFolder folder;
  write_grey((folder / "late.mkv").string(), 10);
  write_grey((folder / "one.mkv").string(), 50);
  std::ofstream(folder / "manifest.jsonl")
      << R"({"id":"one","status":"done","prompt":"a red ball","file":"one.mkv","score":0.25})"
      << "\n"
      << R"({"id":"two","status":"failed","prompt":"a dragon","reason":"init_img: no such file"})"
      << "\n";
  Sheet sheet(folder.path().string());
  sheet.attend(0, 3);
  sheet.settle();
  const auto clips = sheet.clips();
  REQUIRE(clips != nullptr);
  REQUIRE(clips->size() == 3);
  CHECK((*clips)[0].words == "a red ball");
  REQUIRE((*clips)[0].score.has_value());
  CHECK(*(*clips)[0].score == 0.25);
  CHECK((*clips)[1].path == "");
  CHECK(sheet.trouble(1) == "init_img: no such file");
  CHECK((*clips)[2].name == "late");
}

TEST_CASE("folders without videos, broken lists and missing folders are one line", "[sheet]") {
  const test::TemporaryFolder folder;
  Sheet empty(folder.path().string());
  empty.settle();
  CHECK(empty.error().find("no videos in") == 0);
  std::ofstream(folder / "manifest.jsonl") << "{\"id\":\"one\"}\nnonsense\n";
  Sheet broken(folder.path().string());
  broken.settle();
  CHECK(broken.error().find("manifest.jsonl:2") == 0);
  Sheet missing((folder / "nowhere").string());
  missing.settle();
  CHECK_FALSE(missing.listing());
  CHECK(missing.error() != "");
  CHECK(missing.clips() == nullptr);
}

TEST_CASE("pictures stay within their budget, those in sight first", "[sheet]") {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 6; ++i) write_grey((folder / ("c" + std::to_string(i) + ".mkv")).string(), i * 10, 2);
  const std::size_t budget = 2 * 32 * 16 * 3;
  Sheet sheet(folder.path().string(), budget);
  for (const std::size_t at : {0u, 4u, 1u}) {
    sheet.attend(at, at + 2);
    sheet.settle();
    CHECK(sheet.picture(at) != nullptr);
    CHECK(sheet.picture(at + 1) != nullptr);
    CHECK(sheet.held() <= budget);
  }
}

TEST_CASE("a session opens folders, goes from clip to clip and back to the sheet", "[session]") {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.mkv", "b.mkv", "c.mkv"}) write_grey((folder / name).string(), name[0]);
  std::ofstream(folder / "manifest.jsonl") << R"({"id":"a","status":"done","file":"a.mkv"})"
                                           << "\n"
                                           << R"({"id":"x","status":"failed","reason":"no"})"
                                           << "\n";
  SessionOptions options;
  options.folder = folder.path().string();
  Session session(options);
  session.press({letter('C')});  // nothing to show yet: a word, no more
  CHECK_FALSE(session.shown.sheet);
  CHECK(session.notices().size() == 1);
  session.open(folder.path().string());
  REQUIRE(session.sheet() != nullptr);
  session.settle();
  CHECK(session.shown.sheet);
  CHECK_FALSE(session.watching());
  session.press({Key::escape});  // nothing below it
  CHECK(session.shown.sheet);
  session.open_clip(1);  // the failed one has no file
  CHECK_FALSE(session.watching());
  session.open_clip(0);
  CHECK_FALSE(session.shown.sheet);
  CHECK(session.open_path() == (folder / "a.mkv").string());
  session.press({Key::page_down});
  CHECK(session.open_path() == (folder / "b.mkv").string());
  session.press({Key::page_down});
  session.press({Key::page_down});  // the last one stays
  CHECK(session.open_path() == (folder / "c.mkv").string());
  session.press({Key::page_up});
  session.press({Key::page_up});
  CHECK(session.open_path() == (folder / "a.mkv").string());
  session.press({letter('C')});
  CHECK(session.shown.sheet);
  CHECK_FALSE(session.playhead().playing());
  session.press({Key::escape});
  CHECK_FALSE(session.shown.sheet);
}
