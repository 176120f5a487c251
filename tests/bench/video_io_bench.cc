// The work that video_io.sh times: decode a file to RGB frames (and drop them), or decode and encode it again.
#include <cstdio>
#include <exception>
#include <string>

#include "video/io/reader.h"
#include "video/io/writer.h"

// video_io_bench decode IN | video_io_bench transcode IN OUT
int main(int argc, char** argv) try {
  const std::string work = argc > 2 ? argv[1] : "";
  if ((work != "decode" || argc != 3) && (work != "transcode" || argc != 4)) {
    std::fprintf(stderr, "video_io_bench decode IN | transcode IN OUT\n");
    return 2;
  }
  orrery::VideoReader reader(argv[2]);
  orrery::Frame frame;
  long long frames = 0;
  if (work == "decode") {
    while (reader.next(frame)) ++frames;
  } else {
    orrery::WriteOptions options;
    options.fps = reader.info().fps;
    orrery::VideoWriter writer(argv[3], reader.info().width, reader.info().height, options);
    for (; reader.next(frame); ++frames) writer.write(frame);
    writer.close();
  }
  std::printf("%lld frames\n", frames);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "video_io_bench: %s\n", error.what());
  return 1;
}
