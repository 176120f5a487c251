// Upscaling and encoding on a thread of its own, so that they overlap with what makes the frames.
#pragma once

#include <memory>
#include <string>

#include "video/frames/frame.h"
#include "video/io/writer.h"

namespace orrery::pipeline {

class FrameSink {
 public:
  /// Opens the file at once; throws like VideoWriter. Frames of any size are brought to `width` × `height`.
  FrameSink(const std::string& path, int width, int height, const WriteOptions& options);
  /// Without finish() nothing stays on disk.
  ~FrameSink();
  FrameSink(const FrameSink&) = delete;
  FrameSink& operator=(const FrameSink&) = delete;

  /// Waits while the queue is full. Throws what the encoding threw.
  void push(const Frame& frame);
  /// Encodes what is left and gives the file its name, with this metadata. Throws what the encoding threw.
  void finish(const std::string& metadata);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A small frame made larger without blur, or a large one smaller without aliases.
Frame scaled(const Frame& frame, int width, int height);

}  // namespace orrery::pipeline
