// Files that are no videos, or not whole; disks that are full. One clear line each, nothing half written.
#include <sys/resource.h>

#include <csignal>
#include <functional>

#include "core/base/error.h"
#include "tests/support/catch.h"
#include "tests/video/io/support.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::testing;

namespace {

// The message of the error that reading the whole file throws; empty if it throws none.
std::string reading_error(const std::string& path) {
  try {
    VideoReader reader(path);
    Frame frame;
    while (reader.next(frame)) {
    }
  } catch (const Error& error) {
    if (error.blame() != Blame::input) return "";
    return error.what();
  }
  return "";
}

bool one_line_naming(const std::string& message, const std::string& path) {
  return message.find(path) != std::string::npos && message.find('\n') == std::string::npos;
}

std::string wave_file() {
  std::string bytes("RIFF\x24\x20\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data\0\x20\0\0",
                    44);
  return bytes + std::string(8192, '\x11');
}

// Runs `body` with files limited to `bytes`: writing past them fails as a full disk does (EFBIG).
void with_file_limit(rlim_t bytes, const std::function<void()>& body) {
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit { bytes, before.rlim_max };
  setrlimit(RLIMIT_FSIZE, &limit);
  body();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
}

}  // namespace

TEST_CASE("what is no video is refused in one line that names the file", "[video]") {
  const Scratch scratch;
  spill(scratch / "empty.mp4", "");
  spill(scratch / "text.mp4", "This is no video.\n");
  spill(scratch / "text.txt", "Neither is this.\nIt has lines.\n");
  spill(scratch / "sound.wav", wave_file());
  std::string rubbish(5000, '\0');
  Random random(5);
  for (char& c : rubbish) c = static_cast<char>(random.next_u32());
  spill(scratch / "rubbish.mkv", rubbish);
  fs::create_directory(scratch / "folder.mp4");
  for (const auto& [name, words] : {std::pair<std::string, std::string>{"empty.mp4", "empty"},
                                    {"text.mp4", "not a video"},
                                    {"text.txt", "not a video"},
                                    {"sound.wav", "audio only"},
                                    {"rubbish.mkv", "video"},
                                    {"folder.mp4", "folder"},
                                    {"missing.mp4", "no such file"},
                                    {"missing_%04d.png", "no such file"}}) {
    const std::string message = reading_error(scratch / name);
    INFO(name << ": " << message);
    CHECK(message.find(words) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a file cut at any of 50 places is refused", "[video]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a.png"}) {
    const Scratch scratch;
    write_video(scratch / name, moving_clip(64, 48, std::string(name) == "a.png" ? 1 : 12));
    CHECK(reading_error(scratch / name).empty());
    const std::string whole = slurp(scratch / name);
    const std::string cut = scratch / (std::string("cut_") + name);
    for (std::size_t i = 0; i < 50; ++i) {
      const std::size_t size = whole.size() * i / 50 + (i > 0 ? 0 : 1);
      spill(cut, whole.substr(0, size));
      const std::string message = reading_error(cut);
      INFO(name << " cut to " << size << " of " << whole.size() << ": " << message);
      CHECK(one_line_naming(message, cut));
    }
    spill(cut, whole.substr(0, whole.size() - 1));
    CHECK(one_line_naming(reading_error(cut), cut));
  }
}

TEST_CASE("damage in the middle is said, or borne when asked", "[video]") {
  const Scratch scratch;
  const std::string path = scratch / "a.mkv";
  write_video(path, moving_clip(64, 48, 20));
  std::string bytes = slurp(path);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 200; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
  spill(path, bytes);
  CHECK(one_line_naming(reading_error(path), path));
  ReadOptions options;
  options.tolerate_damage = true;
  VideoReader reader(path, options);
  Frame frame;
  int count = 0;
  while (reader.next(frame)) ++count;
  CHECK(count >= 15);
  CHECK_FALSE(reader.damage().empty());
}

TEST_CASE("a full disk is our error and leaves nothing", "[video]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a.png", "a_%02d.png"}) {
    const Scratch scratch;
    Clip clip;
    Random random(3);
    for (int i = 0; i < (std::string(name) == "a.png" ? 1 : 12); ++i) {
      Frame noise(128, 128);
      for (std::uint8_t& byte : noise.bytes()) byte = static_cast<std::uint8_t>(random.next_u32());
      clip.frames.push_back(noise);
    }
    Blame blame = Blame::input;
    std::string message;
    with_file_limit(4096, [&] {
      try {
        write_video(scratch / name, clip);
      } catch (const Error& error) {
        blame = error.blame();
        message = error.what();
      }
    });
    INFO(name << ": " << message);
    CHECK(blame == Blame::ours);
    CHECK(message.find("cannot write") != std::string::npos);
    CHECK(message.find("File too large") != std::string::npos);
    CHECK(files_in(scratch.path()) == 0);
  }
}

TEST_CASE("a writer that is not closed leaves nothing, and the file before it stays", "[video]") {
  for (const char* name : {"a.mp4", "a.mkv", "a.gif", "a_%02d.png"}) {
    const Scratch scratch;
    {
      VideoWriter writer(scratch / name, 32, 32);
      writer.write(picture(32, 32, 0));
    }
    CHECK(files_in(scratch.path()) == 0);
  }
  const Scratch scratch;
  spill(scratch / "a.mp4", "before");
  {
    VideoWriter writer(scratch / "a.mp4", 32, 32);
    writer.write(picture(32, 32, 0));
  }
  CHECK(slurp(scratch / "a.mp4") == "before");
}

TEST_CASE("a writer says what it cannot do", "[video]") {
  const Scratch scratch;
  const auto blame = [](const std::function<void()>& body) {
    try {
      body();
    } catch (const InputError&) {
      return true;
    }
    return false;
  };
  CHECK(blame([&] { VideoWriter(scratch / "a.xyz", 8, 8); }));
  CHECK(blame([&] { VideoWriter(scratch / "a.mp4", 0, 8); }));
  CHECK(blame([&] { VideoWriter(scratch / "missing/a.mp4", 8, 8); }));
  CHECK(blame([&] { VideoWriter(scratch / "a.mp4", 8, 8).write(Frame(9, 8)); }));
  CHECK(blame([&] { VideoWriter(scratch / "a.mp4", 8, 8).close(); }));
  CHECK(blame([&] {
    VideoWriter writer(scratch / "a.png", 8, 8);
    writer.write(Frame(8, 8));
    writer.write(Frame(8, 8));
  }));
  CHECK(files_in(scratch.path()) == 0);
}
