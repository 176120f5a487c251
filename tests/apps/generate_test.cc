// Prompt to file with a tiny random model: the file, its record, and the replay that verifies it.
#include <atomic>
#include <filesystem>

#include "apps/pipeline/clip_input.h"
#include "apps/pipeline/code_file.h"
#include "apps/pipeline/replay.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/io/files.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/frames/frame_hash.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::pipeline;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TemporaryFolder folder, out;
  std::unique_ptr<LoadedModel> model;
  Fixture() {
    test::write_tiny_model(folder.path().string());
    model = std::make_unique<LoadedModel>(folder.path().string());
  }
  ClipSpec spec() const {
    ClipSpec spec;
    spec.prompt = "a red ball bounces";
    spec.seconds = 1.25;
    return spec;
  }
  ClipOutput file(const std::string& name) const {
    ClipOutput output;
    output.path = (out / name).string();
    output.width = output.height = 64;
    return output;
  }
  ReplayReport replay(const std::string& path) const {
    const test::TemporaryFolder scratch;
    return replay_clip(*model, path, scratch.path().string());
  }
};

// The clip's pictures with one spot painted over from a frame on, under the same record.
void change_pictures(const std::string& path, std::size_t from) {
  Clip clip = read_video(path);
  for (std::size_t i = from; i < clip.frames.size(); ++i)
    for (int y = 8; y < 24; ++y)
      for (int x = 8; x < 24; ++x)
        clip.frames[i].at(x, y)[0] = static_cast<std::uint8_t>(clip.frames[i].at(x, y)[0] ^ 0x80);
  WriteOptions write;
  write.metadata = read_metadata(path);
  write_video(path, clip, write);
}

}  // namespace

TEST_CASE("a clip has its length, size, rate and record, and the same bytes each time", "[generate]") {
  const Fixture f;
  ClipSpec spec = f.spec();
  spec.prompt = "a red zebra bounces";
  const ClipReport report = generate_clip(*f.model, spec, f.file("a.mp4"));
  CHECK(report.frames == 30);
  CHECK(report.unknown_words == std::vector<std::string>{"zebra"});
  CHECK(!report.stopped);
  const Clip clip = read_video(report.file);
  CHECK(clip.frames.size() == 30);
  CHECK(clip.fps == 24);
  CHECK(clip.frames[0].width() == 64);
  const Json record = read_record(report.file);
  CHECK(record.find("prompt")->as_string() == spec.prompt);
  CHECK(record.find("frames_sha256")->as_string() == report.frames_sha256);
  CHECK(fs::exists(f.out / "a.json"));

  const int threads = thread_count();
  for (const int count : {1, 2}) {
    set_thread_count(count);
    const ClipReport again = generate_clip(*f.model, spec, f.file("b.mp4"));
    CHECK(again.codes_sha256 == report.codes_sha256);
    CHECK(again.frames_sha256 == report.frames_sha256);
    CHECK(read_file(again.file) == read_file(report.file));
  }
  set_thread_count(threads);
}

TEST_CASE("the hash is over the model's own frames", "[generate]") {
  const Fixture f;
  ClipOutput native = f.file("a.mkv");
  native.width = native.height = 0;
  const ClipReport report = generate_clip(*f.model, f.spec(), native);
  CHECK(report.width == 32);
  CHECK(frames_sha256(read_video(report.file).frames) == report.frames_sha256);
  CHECK(f.replay(report.file).identical);  // an MKV's record is completed by its sidecar
}

TEST_CASE("replay verifies a clip and catches a changed one", "[generate][replay]") {
  const Fixture f;
  ClipSpec spec = f.spec();
  spec.actions = worlds::parse_actions("9:push-right@0.5,0.7;20:push-up@0.9,0.1");
  spec.cfg_scale = 1.5;
  spec.tries = 2;
  spec.sampling.top_k = 5;
  spec.seed = std::uint64_t{1} << 62;
  for (std::int32_t i = 0; i < 32; ++i) spec.given.push_back(i % 16);
  const std::string path = generate_clip(*f.model, spec, f.file("a.mp4")).file;
  const ReplayReport same = f.replay(path);
  CHECK(same.answer == "identical");
  CHECK(same.frames == 30);

  SECTION("its pictures") {
    change_pictures(path, 17);
    const ReplayReport report = f.replay(path);
    CHECK(!report.identical);
    CHECK(report.same_codes);
    CHECK(report.differs_from >= 0);
    CHECK(report.differs_from <= 17);
    CHECK(report.psnr < 100);
  }
  SECTION("its record") {
    Clip clip = read_video(path);
    Json record = read_record(path);
    record.set("seed", 5);
    WriteOptions write;
    write.metadata = record.dump();
    write_video(path, clip, write);
    const ReplayReport report = f.replay(path);
    CHECK(!report.identical);
    CHECK(!report.same_codes);
    CHECK(report.differs_from == 5);  // two given latent frames: 1 + 4
  }
  SECTION("its length") {
    Clip clip = read_video(path);
    clip.frames.pop_back();
    WriteOptions write;
    write.metadata = read_metadata(path);
    write_video(path, clip, write);
    CHECK(!f.replay(path).identical);
  }
}

TEST_CASE("replay refuses what it cannot make again", "[generate][replay]") {
  const Fixture f;
  const std::string path = generate_clip(*f.model, f.spec(), f.file("a.mp4")).file;
  const test::TemporaryFolder other, scratch;
  test::write_tiny_model(other.path().string(), 2);
  CHECK_THROWS_AS(replay_clip(LoadedModel(other.path().string()), path, scratch.path().string()), InputError);
  Clip clip;
  clip.frames.assign(3, Frame(16, 16, 9));
  const std::string plain = (f.out / "plain.mp4").string();
  write_video(plain, clip);
  CHECK_THROWS_AS(f.replay(plain), InputError);
  WriteOptions write;
  write.metadata = R"({"tool": "orrery simulate"})";
  write_video(plain, clip, write);
  CHECK_THROWS_AS(f.replay(plain), InputError);
  write.metadata = R"({"tool": "orrery generate", "schema": 1})";
  write_video(plain, clip, write);
  CHECK_THROWS_AS(f.replay(plain), InputError);
}

TEST_CASE("stopped early, a clip keeps what is done and still replays", "[generate]") {
  const Fixture f;
  std::atomic<bool> stop{false};
  ClipProgress progress;
  progress.stop = &stop;
  progress.update = [&stop](std::int64_t frames) { stop = frames >= 9; };
  const ClipReport report = generate_clip(*f.model, f.spec(), f.file("a.mp4"), progress);
  CHECK(report.stopped);
  CHECK(report.frames == 9);
  CHECK(read_video(report.file).frames.size() == 9);
  CHECK(f.replay(report.file).identical);
  // Before the first frame: no file.
  stop = true;
  CHECK(generate_clip(*f.model, f.spec(), f.file("b.mp4"), progress).frames == 0);
  CHECK(!fs::exists(f.out / "b.mp4"));
}

TEST_CASE("a lower frame rate leaves frames out", "[generate]") {
  const Fixture f;
  std::vector<Frame> all, some;
  for_each_frame(*f.model, f.spec(), {}, [&](const Frame& frame) { all.push_back(frame); });
  ClipSpec spec = f.spec();
  spec.fps = 10;
  for_each_frame(*f.model, spec, {}, [&](const Frame& frame) { some.push_back(frame); });
  REQUIRE(some.size() == 13);  // 12.5 frames
  CHECK(some[0] == all[0]);
  CHECK(some[5] == all[12]);
  CHECK(some[7] == all[16]);
}

TEST_CASE("a picture or a video can begin a clip", "[generate]") {
  const Fixture f;
  Clip clip;
  for (int i = 0; i < 11; ++i) clip.frames.emplace_back(40, 24, static_cast<std::uint8_t>(20 * i));
  const std::string video = (f.out / "v.mkv").string(), picture = (f.out / "p.png").string();
  write_video(video, clip);
  write_image(picture, clip.frames[3]);
  ClipSpec spec = f.spec();
  spec.given = encode_start(*f.model, picture, true, spec.seconds);
  CHECK(spec.given.size() == 16);
  spec.validate(*f.model);
  spec.given = encode_start(*f.model, video, false, spec.seconds);
  CHECK(spec.given.size() == 3 * 16);  // 9 of 11 frames are whole latent frames
  CHECK(generate_clip(*f.model, spec, f.file("a.mp4")).frames == 30);
  CHECK_THROWS_AS(encode_start(*f.model, video, false, 0.2), InputError);
  spec.seconds = 0.3;
  CHECK_THROWS_AS(spec.validate(*f.model), InputError);
  CHECK_THROWS_AS(encode_start(*f.model, (f.out / "none.png").string(), true, 1), InputError);
  write_file(picture, "no picture");
  CHECK_THROWS_AS(encode_start(*f.model, picture, true, 1), InputError);
}

TEST_CASE("what is wrong with a clip's options is said before any work", "[generate]") {
  const Fixture f;
  const auto refused = [&](auto change) {
    ClipSpec spec = f.spec();
    change(spec);
    CHECK_THROWS_AS(generate_clip(*f.model, spec, f.file("x.mp4")), InputError);
    CHECK(f.out.count() == 0);
  };
  refused([](ClipSpec& s) { s.prompt = " "; });
  refused([](ClipSpec& s) { s.seconds = 0; });
  refused([](ClipSpec& s) { s.seconds = -1; });
  refused([](ClipSpec& s) { s.seconds = 1e9; });
  refused([](ClipSpec& s) { s.fps = 0; });
  refused([](ClipSpec& s) { s.fps = 60; });
  refused([](ClipSpec& s) { s.sampling.top_p = 0; });
  refused([](ClipSpec& s) { s.actions = worlds::parse_actions("99:push-up@0.5,0.5"); });
  refused([](ClipSpec& s) { s.actions = worlds::parse_actions("9:push-up@0.5,0.5;10:push-left@0.5,0.5"); });
  refused([](ClipSpec& s) { s.given = {1, 2, 3}; });
  refused([](ClipSpec& s) { s.given.assign(16, 16); });
  CHECK_THROWS_AS(worlds::parse_actions("9:kick@0.5,0.5"), InputError);
  CHECK_THROWS_AS(generate_clip(*f.model, f.spec(), f.file("none/x.mp4")), InputError);
}

TEST_CASE("names and sizes of files", "[generate]") {
  const Fixture f;
  CHECK(default_name("A red ball, bounces!", 42) == "a-red-ball-bounces-42.mp4");
  CHECK(default_name("\xE7\x90\x83", 1) == "clip-1.mp4");
  const std::string path = (f.out / "a.mp4").string();
  CHECK_NOTHROW(check_output(path, false));
  write_file(path, "x");
  CHECK_THROWS_AS(check_output(path, false), InputError);
  CHECK_NOTHROW(check_output(path, true));
  CHECK_THROWS_AS(check_output((f.out / "a.txt").string(), false), InputError);
  CHECK_THROWS_AS(check_output((f.out / "none" / "b.mp4").string(), false), InputError);
  const auto size = [&](bool native, int width, int height) {
    output_size(*f.model, native, width, height);
    return std::pair(width, height);
  };
  CHECK(size(false, 0, 0) == std::pair(512, 512));
  CHECK(size(true, 0, 0) == std::pair(32, 32));
  CHECK(size(false, 0, 100) == std::pair(100, 100));
  CHECK_THROWS_AS(size(false, 640, 480), InputError);
  CHECK_THROWS_AS(size(false, 5000, 0), InputError);
  CHECK_THROWS_AS(size(false, -4, 0), InputError);
  CHECK_THROWS_AS(size(true, 64, 64), InputError);
}

TEST_CASE("codes in a file decode to what the codec makes of them", "[generate][codes]") {
  const Fixture f;
  Clip clip;
  for (int i = 0; i < 7; ++i) clip.frames.emplace_back(32, 16, static_cast<std::uint8_t>(30 * i));
  const std::string video = (f.out / "v.mkv").string(), codes = (f.out / "v.safetensors").string(),
                    again = (f.out / "w.mkv").string();
  write_video(video, clip);
  const LatentCodec& codec = f.model->codec();
  const CodeReport encoded = encode_video(codec, video, codes, 0, 0, 0);
  CHECK(encoded.frames == 7);
  CHECK(encoded.latents == 3);
  CHECK(encoded.bits_per_pixel == Approx(3 * 8 * 4.0 / (7 * 32 * 16)));
  const CodeReport decoded = decode_video(codec, codes, again, 0, 0);
  CHECK(decoded.frames == 7);
  // The same as encoding and decoding at once.
  const std::vector<std::int32_t> whole = encode_clip(codec, clip.frames);
  StreamingDecoder decoder(codec, 2, 4);
  std::vector<Frame> expected;
  for (std::size_t latent = 0; latent < 3; ++latent)
    for (Frame& frame : decoder.push(std::span(whole).subspan(latent * 8, 8))) expected.push_back(std::move(frame));
  expected.resize(7);
  CHECK(read_video(again).frames == expected);

  CHECK_THROWS_AS(encode_video(codec, video, codes, 30, 16, 0), InputError);
  CodecConfig other = codec.config();
  other.levels = {16};
  Random random(1);
  CHECK_THROWS_AS(decode_video(LatentCodec(other, random), codes, again, 0, 0), InputError);
  CHECK_THROWS_AS(decode_video(codec, (f.folder / "codec.safetensors").string(), again, 0, 0), InputError);
}
