// What is written comes back: pictures, sizes, rates, colours, metadata, bytes.
#include "tests/support/catch.h"
#include "tests/video/io/support.h"
#include "video/io/libav/libav.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::testing;

namespace {

void write_clip(const std::string& path, const Clip& clip, const std::string& metadata = {}) {
  WriteOptions options;
  options.metadata = metadata;
  write_video(path, clip, options);
}

}  // namespace

TEST_CASE("every format gives back its frames, rate and size", "[video]") {
  const Scratch scratch;
  // FFmpeg 7's palettegen chooses a GIF's colours another way.
  constexpr double kGif = LIBAVFILTER_VERSION_MAJOR >= 10 ? 27 : 29;
  const struct {
    const char* name;
    double psnr;  // What the codec keeps at quality 75, in dB; 99: every bit.
  } cases[] = {{"a.mp4", 36}, {"a.mov", 36}, {"a.mkv", 99}, {"a.webm", 34}, {"a.gif", kGif}, {"a_%03d.png", 99}};
  const Clip clip = moving_clip(96, 64, 25);
  for (const auto& [name, bound] : cases) {
    INFO(name);
    write_clip(scratch / name, clip);
    const Clip back = read_video(scratch / name);
    REQUIRE(back.frames.size() == clip.frames.size());
    CHECK(back.fps == Approx(24).epsilon(0.002));
    for (std::size_t i = 0; i < clip.frames.size(); ++i) CHECK(psnr(clip.frames[i], back.frames[i]) >= bound);
  }
}

TEST_CASE("odd sizes and single pixels survive", "[video]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a.png", "a_%d.png"}) {
    for (const auto& [width, height] : {std::pair{1, 1}, {2, 2}, {1, 7}, {9, 1}, {33, 17}, {35, 64}}) {
      const Scratch scratch;
      INFO(name << " " << width << "x" << height);
      const Frame frame = picture(width, height, 0);
      Clip clip;
      clip.frames = {frame};
      write_clip(scratch / name, clip);
      VideoReader reader(scratch / name);
      CHECK(reader.info().width == width);
      CHECK(reader.info().height == height);
      Frame back;
      REQUIRE(reader.next(back));
      CHECK(psnr(frame, back) > 20);
      CHECK_FALSE(reader.next(back));
    }
  }
}

TEST_CASE("metadata is in the container and beside it", "[video]") {
  const std::string record =
      R"({"prompt": "a \"red\" ball; größer = more\\", "seed": 42, "list": [1, 2]})" + std::string(600, ' ') + "{}";
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.png", "b_%d.png"}) {
    const Scratch scratch;
    INFO(name);
    Clip clip;
    clip.frames = {picture(32, 32, 0)};
    write_clip(scratch / name, clip, record);
    CHECK(slurp(sidecar_path(scratch / name)) == record + "\n");
    fs::remove(sidecar_path(scratch / name));
    CHECK(read_metadata(scratch / name) == record);
    CHECK(read_video(scratch / name).frames.size() == 1);
  }
  CHECK(sidecar_path("x/y.mp4") == "x/y.json");
  CHECK(sidecar_path("x/y_%04d.png") == "x/y.json");
}

TEST_CASE("the same frames give the same bytes", "[video]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a.png"}) {
    const Scratch one, two;
    INFO(name);
    Clip clip = moving_clip(64, 48, std::string(name) == "a.png" ? 1 : 30);
    write_clip(one / name, clip, "{\"seed\": 1}");
    write_clip(two / name, clip, "{\"seed\": 1}");
    const bool same = slurp(one / name) == slurp(two / name);
    CHECK(same);
    CHECK(slurp(one / name).size() > 100);
  }
}

TEST_CASE("flat colours come back to within 8-bit YCbCr's own step through H.264 and VP9", "[video]") {
  const std::uint8_t colours[][3] = {{255, 0, 0},     {0, 255, 0},    {0, 0, 255},    {255, 255, 255}, {0, 0, 0},
                                     {128, 128, 128}, {200, 100, 50}, {20, 180, 220}, {255, 255, 0}};
  for (const char* name : {"a.mp4", "a.webm"}) {
    const Scratch scratch;
    for (const auto& colour : colours) {
      Frame frame(64, 64);
      for (int y = 0; y < 64; ++y) {
        for (int x = 0; x < 64; ++x) std::copy_n(colour, 3, frame.at(x, y));
      }
      WriteOptions options;
      options.quality = 100;
      write_video(scratch / name, Clip{24, {frame}}, options);
      const Frame back = read_video(scratch / name).frames.at(0);
      INFO(name << " " << int{colour[0]} << " " << int{colour[1]} << " " << int{colour[2]} << " → "
                << int{back.at(32, 32)[0]} << " " << int{back.at(32, 32)[1]} << " " << int{back.at(32, 32)[2]});
      // 8-bit limited-range YCbCr cannot hold every colour: a chroma step is 2.1 levels of blue, half of it and half a
      // luma step may be lost.
      CHECK(largest_difference(frame, back) <= 2);
    }
  }
}
