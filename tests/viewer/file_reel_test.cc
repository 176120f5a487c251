// Video files: whole when they fit, around the frame looked at when not, and told when broken.
#include "viewer/state/file_reel.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::viewer;

namespace {

// Frame i is i grey levels bright; FFV1 keeps it exactly.
void write_ramp(const std::string& path, int frames) {
  Clip clip;
  clip.fps = 24;
  for (int i = 0; i < frames; ++i) clip.frames.emplace_back(16, 16, static_cast<std::uint8_t>(i));
  write_video(path, clip);
}

}  // namespace

TEST_CASE("a clip that fits is held whole, and each frame is the right one", "[file]") {
  const test::TemporaryFolder folder;
  const std::string path = (folder / "ramp.mkv").string();
  write_ramp(path, 40);
  FileReel reel(path);
  for (const int frame : {0, 39, 7, 20}) {
    reel.attend(frame);
    reel.settle();
    REQUIRE(reel.picture(frame) != nullptr);
    CHECK(reel.picture(frame)->at(3, 3)[0] == frame);
  }
  const ReelInfo info = reel.info();
  CHECK(info.frames == 40);
  CHECK(info.fps == Approx(24));
  CHECK(info.error == "");
  CHECK(reel.picture(40) == nullptr);
}

TEST_CASE("of a long clip the frames looked at are held, within the budget", "[file]") {
  const test::TemporaryFolder folder;
  const std::string path = (folder / "ramp.mkv").string();
  write_ramp(path, 200);
  const std::size_t budget = 20 * 16 * 16 * 3;
  FileReel reel(path, budget);
  for (const int frame : {0, 150, 3, 199, 80}) {
    reel.attend(frame);
    reel.settle();
    REQUIRE(reel.picture(frame) != nullptr);
    CHECK(reel.picture(frame)->at(3, 3)[0] == frame);
    CHECK(reel.held() <= budget);
  }
}

TEST_CASE("while one scrubs a long clip, a near frame stands in", "[file]") {
  const test::TemporaryFolder folder;
  const std::string path = (folder / "ramp.mkv").string();
  write_ramp(path, 250);
  const std::size_t budget = 20 * 16 * 16 * 3;
  FileReel reel(path, budget);
  reel.settle();
  while (reel.stand_ins() < 250) std::this_thread::yield();  // as many as there are frames
  for (const int frame : {3, 120, 249}) {
    REQUIRE(reel.nearest(frame) != nullptr);
    CHECK(reel.nearest(frame)->at(3, 3)[0] == Approx(frame).margin(2));
  }
  CHECK(reel.picture(120) == nullptr);  // an exact one is still to be read
  CHECK(reel.held() <= budget);
}

TEST_CASE("files that are none are told in one line; a file cut short shows what it has", "[file]") {
  const test::TemporaryFolder folder;
  const std::string text = (folder / "text.mp4").string(), whole = (folder / "ramp.mkv").string(),
                    cut = (folder / "cut.mkv").string();
  std::ofstream(text) << "this is no video";
  write_ramp(whole, 60);
  std::filesystem::copy_file(whole, cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(whole) * 2 / 3);
  for (const std::string& path : {text, (folder / "missing.mp4").string()}) {
    FileReel reel(path);
    reel.settle();
    CHECK(reel.info().error.find(path) != std::string::npos);
    CHECK(reel.info().error.find('\n') == std::string::npos);
    CHECK(reel.picture(0) == nullptr);
  }
  FileReel damaged(cut);
  damaged.settle();
  CHECK(damaged.info().error == "");
  REQUIRE(damaged.picture(0) != nullptr);
  CHECK(damaged.info().remark != "");
}
