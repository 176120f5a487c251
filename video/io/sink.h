// Where VideoWriter's frames go: one kind for containers, one for PNG files. Private to video/io.
#pragma once

#include <memory>
#include <string>

#include "video/frames/frame.h"
#include "video/io/writer.h"

namespace orrery {

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void write(const Frame& frame) = 0;
  /// Everything on disk under its final name.
  virtual void close(const std::string& metadata) = 0;
};

/// How a container is written; found by extension.
struct Container {
  const char* extension;
  const char* muxer;
  const char* encoder;
};

std::unique_ptr<Sink> make_container_sink(const Container& container, const std::string& path, int width, int height,
                                          const WriteOptions& options);
std::unique_ptr<Sink> make_png_sink(const std::string& path, int width, int height, const WriteOptions& options);

}  // namespace orrery
